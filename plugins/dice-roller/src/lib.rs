//! Rolls dice: `!roll 4d6kh3+1`, and keeps rolls for each person: `!roll save attack 1d20+7`.
#![forbid(unsafe_code)]

mod dice;

use dice::{Dice, DiceError};
use plugin_api::{metrics::Counter, prelude::*};
use std::{fmt, str::FromStr};

static ROLLS: Counter = Counter::new("dice_rolls_total", "Rolls that users asked for.");

/// What the key of a saved roll begins with; its name follows.
const SAVED: &str = "saved/";

/// Rolls that a person may save.
const MOST_SAVED: usize = 20;

/// The longest name of a saved roll.
const LONGEST_NAME: usize = 20;

/// The plugin. The store has the rolls that people saved.
#[derive(Default)]
pub struct DiceRoller;

/// Dice, or the name of a saved roll.
enum Wanted {
    Dice(Dice),
    Saved(Name),
}

impl FromStr for Wanted {
    type Err = DiceError;

    fn from_str(text: &str) -> Result<Self, DiceError> {
        text.parse().map(Self::Dice).or_else(|error| text.parse().map(Self::Saved).map_err(|_| error))
    }
}

/// The name of a saved roll: letters, digits and `-`, and no dice.
struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.to_lowercase();
        let fits = name.starts_with(char::is_alphabetic)
            && name.chars().count() <= LONGEST_NAME
            && name.chars().all(|c| c.is_alphanumeric() || c == '-');
        match fits && name.parse::<Dice>().err() == Some(DiceError::Nonsense) {
            true => Ok(Self(name)),
            false => {
                Err(format!("A name has 1 to {LONGEST_NAME} letters and digits, begins with a letter, and is no dice"))
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[plugin(probe = "roll 1d20")]
impl DiceRoller {
    /// Roll dice: `!roll 2d6+3`, `!roll 4d6kh3`
    #[command(aliases("r"))]
    async fn roll(&self, cx: &Context, dice: Wanted) -> Result<Reply> {
        let dice = match dice {
            Wanted::Dice(dice) => dice,
            Wanted::Saved(name) => match saved(cx, &name).await? {
                Some(dice) => dice,
                None => {
                    let text = format!("{}, and you have saved none as {name}", DiceError::Nonsense);
                    return Ok(format!("{text}. Usage: !roll 2d6+3, !roll 4d6kh3, !roll save {name} 2d6+3").into());
                }
            },
        };
        if !cx.is_probe() {
            ROLLS.inc();
        }
        let mut random = cx.random();
        let throw = |sides: u32| u32::try_from(random.between(1..=sides.into())).unwrap_or(sides);
        Ok(dice.roll(throw).to_string().into())
    }

    /// Save a roll of yours under a name: `!roll save attack 1d20+7`
    #[command(path = "roll save")]
    async fn save(&self, cx: &Context, name: Name, dice: Dice) -> Result<String> {
        let mut others = 0;
        cx.store().user().for_each(SAVED, |known, _: String| others += usize::from(known != name.0)).await?;
        if others >= MOST_SAVED {
            return Ok(format!(
                "You have {others} saved rolls, and more are not kept. To remove one: !roll forget NAME"
            ));
        }
        cx.store().user().put(&format!("{SAVED}{name}"), &dice.to_string())?;
        Ok(format!("!roll {name} rolls {dice} now."))
    }

    /// Forget a saved roll: `!roll forget attack`
    #[command(path = "roll forget", aliases("delete"))]
    async fn forget(&self, cx: &Context, name: Name) -> Result<String> {
        let Some(dice) = saved(cx, &name).await? else { return Ok(format!("You have saved no roll as {name}.")) };
        cx.store().user().delete(&format!("{SAVED}{name}"))?;
        Ok(format!("{name}, which was {dice}, is forgotten."))
    }

    /// List your saved rolls: `!roll list`
    #[command(path = "roll list")]
    async fn list(&self, cx: &Context) -> Result<String> {
        let mut all = Vec::new();
        cx.store().user().for_each(SAVED, |name, dice: String| all.push(format!("{name} {dice}"))).await?;
        Ok(match all.is_empty() {
            true => "You have no saved rolls. To save one: !roll save attack 1d20+7".to_owned(),
            false => all.join(" · "),
        })
    }
}

/// The dice that this person saved under a name.
async fn saved(cx: &Context, name: &Name) -> Result<Option<Dice>> {
    let text: Option<String> = cx.store().user().get(&format!("{SAVED}{name}")).await?;
    // What an older build saved may be beyond the limits of this one. The person reads why.
    text.map(|text| text.parse::<Dice>().map_err(|error| Error::new(error.to_string()))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    fn reply(line: &str) -> String {
        Bot::<DiceRoller>::new().say(line).text().to_owned()
    }

    #[test]
    fn it_rolls_what_is_asked_for() {
        assert!(reply("!roll 2d6 + 3").starts_with("2d6+3: "));
        assert!(reply("!r D20").starts_with("1d20: "));
        assert!(reply("!roll 6d10! >= 8").starts_with("6d10!>=8: "));
        assert!(Bot::<DiceRoller>::new().probe().text().starts_with("1d20: "));
    }

    #[test]
    fn what_it_cannot_roll_it_explains() {
        const USAGE: &str = "Usage: !roll 2d6+3, !roll 4d6kh3";
        assert_eq!(reply("!roll"), USAGE);
        assert_eq!(reply("!roll 2d6+luck"), format!("I cannot read these dice. {USAGE}"));
        assert_eq!(reply("!roll 101d6"), format!("I roll 1 to 100 dice. {USAGE}"));
        let text = "I cannot read these dice, and you have saved none as luck. ";
        assert_eq!(reply("!roll luck"), format!("{text}{USAGE}, !roll save luck 2d6+3"));
    }

    #[test]
    fn each_person_has_saved_rolls() {
        let bot = Bot::<DiceRoller>::new();
        assert_eq!(bot.say("!roll save Attack 1d20 + 7").reply(), "!roll attack rolls 1d20+7 now.");
        assert!(bot.say("!roll ATTACK").reply().starts_with("1d20+7: "));
        assert!(bot.person("alice").in_channel("#other").say("!r attack").reply().starts_with("1d20+7: "));
        assert!(bot.say_as("bob", "!roll attack").reply().starts_with("I cannot read these dice, and you have"));
        bot.say("!roll save Harm 2d6!");
        assert_eq!(bot.say("!roll list").reply(), "attack 1d20+7 · harm 2d6!");
        assert_eq!(bot.say("!roll forget attack").reply(), "attack, which was 1d20+7, is forgotten.");
        assert_eq!(bot.say("!roll forget attack").reply(), "You have saved no roll as attack.");
        assert!(bot.say_as("bob", "!roll list").reply().starts_with("You have no saved rolls."));
    }

    #[test]
    fn a_saved_roll_has_a_name_and_dice_and_there_are_not_too_many() {
        let bot = Bot::<DiceRoller>::new();
        for line in ["!roll save d20 1d6", "!roll save 2x 1d6", "!roll save a.b 1d6"] {
            assert!(bot.say(line).reply().starts_with("A name has 1 to 20 letters"), "{line}");
        }
        assert!(bot.say("!roll save luck high").reply().starts_with("I cannot read these dice. Usage: !roll save"));
        for n in 0..20 {
            assert!(bot.say(&format!("!roll save a{n} 1d6")).reply().ends_with("now."));
        }
        assert!(bot.say("!roll save b 1d6").reply().starts_with("You have 20 saved rolls, and more are not kept."));
        assert_eq!(bot.say("!roll save a0 2d6").reply(), "!roll a0 rolls 2d6 now.");
    }
}
