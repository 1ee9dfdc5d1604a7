//! Rolls dice: `!roll 4d6kh3+1`.
#![forbid(unsafe_code)]

mod dice;

use dice::Dice;
use plugin_api::{metrics::Counter, prelude::*};

static ROLLS: Counter = Counter::new("dice_rolls_total", "Rolls that users asked for.");

/// The plugin. It keeps nothing.
#[derive(Default)]
pub struct DiceRoller;

#[plugin(probe = "roll 1d20")]
impl DiceRoller {
    /// Roll dice: `!roll 2d6+3`, `!roll 4d6kh3`
    #[command(aliases("r"))]
    async fn roll(&self, cx: &Context, dice: Dice) -> Result<Reply> {
        if !cx.is_probe() {
            ROLLS.inc();
        }
        Ok(dice.roll(|sides| fastrand::u32(1..=sides)).to_string().into())
    }
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
        assert!(Bot::<DiceRoller>::new().probe().text().starts_with("1d20: "));
    }

    #[test]
    fn what_it_cannot_roll_it_explains() {
        const USAGE: &str = "Usage: !roll 2d6+3, !roll 4d6kh3";
        assert_eq!(reply("!roll"), USAGE);
        assert_eq!(reply("!roll luck"), format!("I cannot read these dice. {USAGE}"));
        assert_eq!(reply("!roll 101d6"), format!("I roll 1 to 100 dice. {USAGE}"));
    }
}
