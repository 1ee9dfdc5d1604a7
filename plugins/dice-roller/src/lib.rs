//! Rolls dice: `!roll 4d6kh3+1`.
#![forbid(unsafe_code)]

mod dice;

use dice::Dice;
use plugin_api::prelude::*;

/// The plugin. It remembers nothing.
#[derive(Default)]
pub struct DiceRoller;

#[plugin(probe = "roll 1d20")]
impl DiceRoller {
    /// Roll dice: `!roll 2d6+3`, `!roll 4d6kh3`
    #[command(aliases("r"), cooldown = "1s")]
    async fn roll(&self, _cx: &Context, dice: Dice) -> Result<Reply> {
        Ok(dice.roll(|sides| fastrand::u32(1..=sides)).to_string().into())
    }
}
