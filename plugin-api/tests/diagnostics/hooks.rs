//! How a hook's method looks.

use plugin_api::prelude::*;

#[derive(Default)]
pub struct AsyncHook;

#[plugin]
impl AsyncHook {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[shutdown]
    async fn bye(&self) {}
}

#[derive(Default)]
pub struct HookWithOptions;

#[plugin]
impl HookWithOptions {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[shutdown(now)]
    fn bye(&self) {}
}

#[derive(Default)]
pub struct TwoOfAKind;

#[plugin]
impl TwoOfAKind {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[shutdown]
    fn bye(&self) {}

    #[shutdown]
    fn good_bye(&self) {}
}

#[derive(Default)]
pub struct CreateWithSelf;

#[plugin]
impl CreateWithSelf {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[create]
    fn new(&self) -> Self {
        Self
    }
}

#[derive(Default)]
pub struct CreateWithTwo;

#[plugin]
impl CreateWithTwo {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[create]
    fn new(_a: String, _b: String) -> Self {
        Self
    }
}

#[derive(Default)]
pub struct CreateOfNothing;

#[plugin]
impl CreateOfNothing {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[create]
    fn new() {}
}

#[derive(Default)]
pub struct SnapshotOfNothing;

#[plugin]
impl SnapshotOfNothing {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[snapshot]
    fn save(&self) {}
}

#[derive(Default)]
pub struct SnapshotWithContext;

#[plugin]
impl SnapshotWithContext {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[snapshot]
    fn save(&self, _cx: &Context) -> Result<Vec<u8>> {
        Ok(vec![])
    }
}

#[derive(Default)]
pub struct RestoreWithoutVersion;

#[plugin]
impl RestoreWithoutVersion {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[restore]
    fn load(&self, _state: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
pub struct RestoreMutable;

#[plugin]
impl RestoreMutable {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[restore]
    fn load(&mut self, _version: u32, _state: &[u8]) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
pub struct ShutdownWithoutSelf;

#[plugin]
impl ShutdownWithoutSelf {
    #[command]
    fn roll(&self, _cx: &Context) {}

    #[shutdown]
    fn bye() {}
}

fn main() {}
