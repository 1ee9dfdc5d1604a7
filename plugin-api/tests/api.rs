//! The public API of this crate as text, so that a change of it is meant, and an example for each part of it.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, Expr, ExprLit, Fields, FnArg, ImplItem, Item, ItemImpl, ItemUse, Lit, Meta, Signature, TraitItem, Type,
    UseTree, Visibility,
};

/// What `API=overwrite` writes.
const SNAPSHOT: &str = "tests/api.txt";

/// One public item, without its fields and variants.
struct Public {
    /// As an author writes it, without the name of the crate: `store::Store::get`.
    path: String,
    /// Its declaration in one line.
    text: String,
    /// The documentation in which an example of it may stand.
    docs: String,
    /// Whether it needs no example: a getter, a constant, a method of a trait, or what the shim uses.
    is_plain: bool,
}

/// The items of all modules, and the names of all public types and traits.
#[derive(Default)]
struct Api {
    items: Vec<Public>,
    names: BTreeSet<String>,
    impls: Vec<(String, String, ItemImpl)>,
    docs_of: BTreeMap<String, String>,
}

impl Api {
    fn read() -> Self {
        let mut api = Self::default();
        api.module(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"), "", None, "");
        let impls = std::mem::take(&mut api.impls);
        impls.iter().for_each(|(module, docs, item)| api.methods(module, docs, item));
        api.items.sort_by(|one, other| (&one.path, &one.text).cmp(&(&other.path, &other.text)));
        api
    }

    /// Reads a file. Of a private module only the items in `only`, which its parent exports.
    fn module(&mut self, file: &Path, path: &str, only: Option<&BTreeSet<String>>, around: &str) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).expect("it compiles");
        let docs = docs(&parsed.attrs) + around;
        let uses: Vec<_> = parsed.items.iter().filter_map(as_use).collect();
        for item in &parsed.items {
            match item {
                Item::Mod(module) if module.content.is_none() && !is_hidden(&module.attrs) => {
                    let name = module.ident.to_string();
                    let child = file_of(file, &name);
                    if is_public(&module.vis) {
                        self.module(&child, &joined(path, &name), None, "");
                    } else {
                        let exported = uses.iter().flat_map(|it| exported(&it.tree, &name)).collect();
                        self.module(&child, path, Some(&exported), &docs);
                    }
                }
                Item::Impl(item) => self.impls.push((path.to_owned(), docs.clone(), item.clone())),
                Item::Use(it) if is_public(&it.vis) && only.is_none() && !is_hidden(&it.attrs) => {
                    self.foreign(path, &docs, it, &parsed.items)
                }
                item => self.item(path, &docs, item, only),
            }
        }
    }

    /// Exports of items that are not in a module of this file.
    fn foreign(&mut self, path: &str, docs: &str, item: &ItemUse, beside: &[Item]) {
        let UseTree::Path(first) = &item.tree else { return };
        let is_own = |it: &Item| matches!(it, Item::Mod(module) if module.ident == first.ident);
        if !beside.iter().any(is_own) {
            let text = line(item.tree.to_token_stream());
            self.add(joined(path, "use"), format!("use {text}"), docs.to_owned(), true);
        }
    }

    fn item(&mut self, path: &str, around: &str, item: &Item, only: Option<&BTreeSet<String>>) {
        let Some((name, vis, attributes, text)) = declared(item) else { return };
        let is_exported = vis.is_none_or(is_public) && only.is_none_or(|only| only.contains(&name));
        if !is_exported || is_hidden(attributes) {
            return;
        }
        let path = joined(if vis.is_none() { "" } else { path }, &name);
        let docs = docs(attributes) + around;
        if matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Trait(_)) {
            self.names.insert(name.clone());
            self.docs_of.insert(name, docs.clone());
        }
        if let Item::Trait(it) = item {
            for method in &it.items {
                if let TraitItem::Fn(method) = method {
                    let provided = if method.default.is_some() { " { .. }" } else { "" };
                    let text = line(method.sig.to_token_stream()) + provided;
                    let docs = crate::docs(&method.attrs) + &docs;
                    self.add(joined(&path, &method.sig.ident.to_string()), text, docs, true);
                }
            }
        }
        self.add(path, text, docs, matches!(item, Item::Const(_)));
    }

    /// The methods of a public type, or the fact that it implements a trait.
    fn methods(&mut self, module: &str, around: &str, item: &ItemImpl) {
        let of = last_name(&item.self_ty);
        if let Some((_, of_trait, _)) = &item.trait_ {
            let of_trait = of_trait.segments.last().map(|it| it.ident.to_string()).unwrap_or_default();
            if (self.names.contains(&of) || self.names.contains(&of_trait)) && !is_hidden(&item.attrs) {
                let header = ItemImpl { items: Vec::new(), attrs: Vec::new(), ..item.clone() };
                let text = line(header.to_token_stream());
                self.add(
                    joined(module, "impl"),
                    text.trim_end_matches("{}").trim_end().to_owned(),
                    String::new(),
                    true,
                );
            }
            return;
        }
        if !self.names.contains(&of) {
            return;
        }
        let docs_of_type = self.docs_of.get(&of).cloned().unwrap_or_default();
        for item in &item.items {
            let (name, vis, attributes, text, is_plain) = match item {
                ImplItem::Fn(it) => {
                    (&it.sig.ident, &it.vis, &it.attrs, line(it.sig.to_token_stream()), is_getter(&it.sig))
                }
                ImplItem::Const(it) => (
                    &it.ident,
                    &it.vis,
                    &it.attrs,
                    format!("const {}: {}", it.ident, line(it.ty.to_token_stream())),
                    true,
                ),
                _ => continue,
            };
            if is_public(vis) && !is_hidden(attributes) {
                let docs = docs(attributes) + &docs_of_type + around;
                self.add(joined(&of, &name.to_string()), text, docs, is_plain);
            }
        }
    }

    fn add(&mut self, path: String, text: String, docs: String, is_plain: bool) {
        let is_plain = is_plain || path.starts_with("abi::");
        self.items.push(Public { path, text, docs, is_plain });
    }
}

/// The name, visibility, attributes and text of an item; a macro has no visibility.
fn declared(item: &Item) -> Option<(String, Option<&Visibility>, &[Attribute], String)> {
    let derived = |attributes: &[Attribute]| -> String {
        let derives =
            attributes.iter().filter(|it| it.path().is_ident("derive") || it.path().is_ident("non_exhaustive"));
        derives.map(|it| line(it.to_token_stream()) + " ").collect()
    };
    Some(match item {
        Item::Struct(it) => {
            let (public, private): (Vec<_>, Vec<_>) = it.fields.iter().partition(|field| is_public(&field.vis));
            let shown = |field: &&syn::Field| {
                let name = field.ident.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                name + &line(field.ty.to_token_stream())
            };
            let mut fields: Vec<_> = public.iter().map(shown).collect();
            fields.extend((!private.is_empty()).then(|| "..".to_owned()));
            let generics = line(it.generics.to_token_stream());
            let text = format!("{}struct {}{generics} {{ {} }}", derived(&it.attrs), it.ident, fields.join(", "));
            (it.ident.to_string(), Some(&it.vis), &it.attrs, text)
        }
        Item::Enum(it) => {
            let shown = |variant: &syn::Variant| {
                let mut fields = variant.fields.clone();
                fields.iter_mut().for_each(|field| field.attrs.clear());
                let fields =
                    if matches!(fields, Fields::Unit) { String::new() } else { line(fields.to_token_stream()) };
                format!("{}{fields}", variant.ident)
            };
            let variants: Vec<_> = it.variants.iter().map(shown).collect();
            let generics = line(it.generics.to_token_stream());
            let text = format!("{}enum {}{generics} {{ {} }}", derived(&it.attrs), it.ident, variants.join(", "));
            (it.ident.to_string(), Some(&it.vis), &it.attrs, text)
        }
        Item::Trait(it) => {
            let mut header = syn::ItemTrait { attrs: Vec::new(), ..it.clone() };
            header.items.retain(|item| !matches!(item, TraitItem::Fn(_)));
            for item in &mut header.items {
                match item {
                    TraitItem::Const(it) => it.attrs.clear(),
                    TraitItem::Type(it) => it.attrs.clear(),
                    _ => {}
                }
            }
            (it.ident.to_string(), Some(&it.vis), &it.attrs, line(header.to_token_stream()))
        }
        Item::Fn(it) => (it.sig.ident.to_string(), Some(&it.vis), &it.attrs, line(it.sig.to_token_stream())),
        Item::Const(it) => {
            let text = format!("const {}: {}", it.ident, line(it.ty.to_token_stream()));
            (it.ident.to_string(), Some(&it.vis), &it.attrs, text)
        }
        Item::Type(it) => {
            let bare = syn::ItemType { attrs: Vec::new(), ..it.clone() };
            (it.ident.to_string(), Some(&it.vis), &it.attrs, line(bare.to_token_stream()))
        }
        Item::Macro(it) if it.attrs.iter().any(|it| it.path().is_ident("macro_export")) => {
            let name = it.ident.as_ref()?.to_string();
            (name.clone(), None, &it.attrs, format!("macro {name}!"))
        }
        _ => return None,
    })
}

fn as_use(item: &Item) -> Option<&ItemUse> {
    match item {
        Item::Use(it) if is_public(&it.vis) => Some(it),
        _ => None,
    }
}

/// The names that `pub use child::{…}` exports of this child.
fn exported(tree: &UseTree, child: &str) -> Vec<String> {
    fn names(tree: &UseTree) -> Vec<String> {
        match tree {
            UseTree::Name(it) => vec![it.ident.to_string()],
            UseTree::Rename(it) => vec![it.ident.to_string()],
            UseTree::Group(it) => it.items.iter().flat_map(names).collect(),
            UseTree::Path(_) | UseTree::Glob(_) => Vec::new(),
        }
    }
    match tree {
        UseTree::Path(it) if it.ident == child => names(&it.tree),
        _ => Vec::new(),
    }
}

fn file_of(parent: &Path, module: &str) -> PathBuf {
    let folder = match parent.file_stem().and_then(|it| it.to_str()) {
        Some("lib" | "mod") | None => parent.parent().expect("a folder").to_owned(),
        Some(stem) => parent.with_file_name(stem),
    };
    let file = folder.join(format!("{module}.rs"));
    if file.exists() { file } else { folder.join(module).join("mod.rs") }
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    let hides = |it: &Attribute| matches!(&it.meta, Meta::List(list) if list.path.is_ident("doc") && list.tokens.to_string() == "hidden");
    attributes.iter().any(|it| hides(it) || it.path().is_ident("cfg"))
}

/// `fn name(&self) -> T`, whose name says all that an example could.
fn is_getter(signature: &Signature) -> bool {
    signature.asyncness.is_none() && signature.inputs.len() == 1 && matches!(signature.inputs[0], FnArg::Receiver(_))
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

fn last_name(ty: &Type) -> String {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()).unwrap_or_default(),
        Type::Reference(it) => last_name(&it.elem),
        _ => String::new(),
    }
}

fn docs(attributes: &[Attribute]) -> String {
    let text = |attribute: &Attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value() + "\n"),
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

/// Tokens as a person would write them in one line.
fn line(tokens: TokenStream) -> String {
    fn flat(tokens: TokenStream, all: &mut Vec<String>) {
        let mut joint = false;
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let text = group.to_string();
                    let ends = (text.chars().next().unwrap_or_default(), text.chars().last().unwrap_or_default());
                    all.push(ends.0.to_string());
                    flat(group.stream(), all);
                    all.push(ends.1.to_string());
                    joint = false;
                }
                TokenTree::Punct(it) => {
                    let c = it.as_char();
                    match all.last_mut() {
                        Some(last) if joint && !"<&".contains(c) => last.push(c),
                        _ => all.push(c.to_string()),
                    }
                    joint = it.spacing() == proc_macro2::Spacing::Joint && "-:=.'".contains(c);
                }
                word => match all.last_mut() {
                    Some(last) if last == "'" => last.push_str(&word.to_string()),
                    _ => all.push(word.to_string()),
                },
            }
        }
    }
    let mut all = Vec::new();
    flat(tokens, &mut all);
    let mut text = String::new();
    for (at, token) in all.iter().enumerate() {
        let before = at.checked_sub(1).map_or("(", |at| &all[at]);
        let is_word = |text: &str| text.starts_with(|c: char| c.is_alphanumeric() || "_'\"".contains(c));
        let around = ["->", "=", "+", "{", "}", "=>", "|"];
        let space = around.contains(&token.as_str())
            || around.contains(&before)
            || [",", ";", ":"].contains(&before)
            || (is_word(token) && (is_word(before) || [">", ")", "]"].contains(&before)))
            || (["&", "(", "<", "["].contains(&token.as_str()) && before.starts_with('\''))
            || (token == "&" && is_word(before));
        if space && at > 0 && !text.ends_with(' ') {
            text.push(' ');
        }
        text.push_str(token);
    }
    text.replace("mut(", "mut (").trim().replace(", )", ")").replace(",)", ")")
}

#[test]
fn the_public_api_is_the_one_of_the_snapshot() {
    let all: String = Api::read().items.iter().map(|it| format!("{} | {}\n", it.path, it.text)).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    if std::env::var_os("API").is_some_and(|it| it == "overwrite") {
        fs::write(&file, &all).expect("the checkout can be written");
    }
    let snapshot = fs::read_to_string(&file).unwrap_or_default();
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (snapshot.lines().collect(), all.lines().collect());
    let gone: String = before.difference(&now).map(|line| format!("- {line}\n")).collect();
    let new: String = now.difference(&before).map(|line| format!("+ {line}\n")).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "the public API is not that of {SNAPSHOT}. A line with - breaks plugins, unless one with + takes its place for every \
         caller. If it is meant, raise the version and run: API=overwrite cargo test -p plugin-api --test api\n{gone}{new}"
    );
}

#[test]
fn every_public_item_stands_in_an_example() {
    let api = Api::read();
    let lacks = |item: &&Public| {
        let name = item.path.rsplit("::").next().unwrap_or_default();
        let code: String = item.docs.split("```").skip(1).step_by(2).collect::<Vec<_>>().join("\n");
        let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        !item.is_plain && !words.any(|word| word == name)
    };
    let lacking: Vec<_> = api.items.iter().filter(lacks).map(|item| item.path.as_str()).collect();
    assert!(
        lacking.is_empty(),
        "each public item stands in an example of its own documentation, or of that of its type or module; only getters, constants, \
         methods of traits and the boundary to the shim need none:\n{}",
        lacking.join("\n")
    );
}
