//! Dice as players write them: `2d6+3`, `d20`, `4d6kh3`.

use std::{fmt, str::FromStr};

/// The most dice in one roll. An answer with more would be too long to read.
const MOST_DICE: u32 = 100;
/// The most sides of a die. A die needs two.
const MOST_SIDES: u32 = 1000;
/// The largest modifier, positive or negative: as much as the largest roll.
const MOST_MODIFIER: u32 = MOST_DICE * MOST_SIDES;

/// The dice to roll, within the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dice {
    count: u32,
    sides: u32,
    keep: Keep,
    modifier: i64,
}

/// The dice that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    All,
    Highest(u32),
    Lowest(u32),
}

impl Dice {
    /// Rolls each die with `die`, which gets the number of sides.
    pub fn roll(&self, mut die: impl FnMut(u32) -> u32) -> Roll<'_> {
        let rolled: Vec<u32> = (0..self.count).map(|_| die(self.sides)).collect();
        let mut order: Vec<usize> = (0..rolled.len()).collect();
        let kept = match self.keep {
            Keep::All => rolled.len(),
            Keep::Highest(count) => {
                order.sort_by_key(|&i| std::cmp::Reverse(rolled[i]));
                count as usize
            }
            Keep::Lowest(count) => {
                order.sort_by_key(|&i| rolled[i]);
                count as usize
            }
        };
        let mut dice: Vec<_> = rolled.into_iter().map(|value| (value, false)).collect();
        for &i in &order[..kept] {
            dice[i].1 = true;
        }
        Roll { dice: self, rolled: dice }
    }
}

/// One roll, shown as `2d6+3: 4 + 2 + 3 = 9`, with dropped dice in brackets.
#[derive(Debug)]
pub struct Roll<'a> {
    dice: &'a Dice,
    /// Each die, and whether it counts.
    rolled: Vec<(u32, bool)>,
}

impl Roll<'_> {
    /// The sum of the dice that count, and the modifier.
    pub fn total(&self) -> i64 {
        let kept = self.rolled.iter().filter(|(_, kept)| *kept);
        kept.map(|(value, _)| i64::from(*value)).sum::<i64>() + self.dice.modifier
    }
}

impl fmt::Display for Roll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.dice)?;
        for (i, (value, kept)) in self.rolled.iter().enumerate() {
            let plus = if i > 0 { " + " } else { "" };
            if *kept { write!(f, "{plus}{value}")? } else { write!(f, "{plus}[{value}]")? }
        }
        match self.dice.modifier {
            0 => {}
            plus @ 1.. => write!(f, " + {plus}")?,
            minus => write!(f, " - {}", -minus)?,
        }
        write!(f, " = {}", self.total())
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d{}", self.count, self.sides)?;
        match self.keep {
            Keep::All => {}
            Keep::Highest(count) => write!(f, "kh{count}")?,
            Keep::Lowest(count) => write!(f, "kl{count}")?,
        }
        if self.modifier == 0 { Ok(()) } else { write!(f, "{:+}", self.modifier) }
    }
}

/// Why a text is not dice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiceError {
    /// The text has another form than dice.
    Nonsense,
    /// The number of dice is 0 or above the limit.
    Count,
    /// The number of sides is out of range.
    Sides,
    /// The roll keeps no dice, or more than it has.
    Keep,
    /// The modifier is above the limit.
    Modifier,
}

impl fmt::Display for DiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nonsense => write!(f, "I cannot read these dice"),
            Self::Count => write!(f, "I roll 1 to {MOST_DICE} dice"),
            Self::Sides => write!(f, "A die has 2 to {MOST_SIDES} sides"),
            Self::Keep => write!(f, "I can keep at least one die, and at most all of them"),
            Self::Modifier => write!(f, "I add or subtract at most {MOST_MODIFIER}"),
        }
    }
}

impl FromStr for Dice {
    type Err = DiceError;

    fn from_str(text: &str) -> Result<Self, DiceError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
        let (count, rest) = number(&text);
        let (sides, rest) = number(rest.strip_prefix('d').ok_or(DiceError::Nonsense)?);
        let count = match count {
            "" => 1,
            digits => within(digits, 1, MOST_DICE, DiceError::Count)?,
        };
        let sides = within(sides, 2, MOST_SIDES, DiceError::Sides)?;
        let (keep, rest) = match (rest.strip_prefix("kh"), rest.strip_prefix("kl")) {
            (Some(rest), _) => kept(rest, count, Keep::Highest)?,
            (_, Some(rest)) => kept(rest, count, Keep::Lowest)?,
            _ => (Keep::All, rest),
        };
        let modifier = match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
            (Some(digits), _) => i64::from(within(digits, 0, MOST_MODIFIER, DiceError::Modifier)?),
            (_, Some(digits)) => -i64::from(within(digits, 0, MOST_MODIFIER, DiceError::Modifier)?),
            _ if rest.is_empty() => 0,
            _ => return Err(DiceError::Nonsense),
        };
        Ok(Self { count, sides, keep, modifier })
    }
}

fn kept(text: &str, count: u32, keep: fn(u32) -> Keep) -> Result<(Keep, &str), DiceError> {
    let (digits, rest) = number(text);
    Ok((keep(within(digits, 1, count, DiceError::Keep)?), rest))
}

/// The digits at the beginning of `text`, and the rest.
fn number(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// A number within limits. Digits that do not fit a `u32` are above every limit; a text without digits is nonsense.
fn within(digits: &str, least: u32, most: u32, beyond: DiceError) -> Result<u32, DiceError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DiceError::Nonsense);
    }
    digits.parse().ok().filter(|number| (least..=most).contains(number)).ok_or(beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<String, DiceError> {
        text.parse::<Dice>().map(|dice| dice.to_string())
    }

    #[test]
    fn dice_as_players_write_them() {
        for (text, meant) in [
            ("2d6", "2d6"),
            ("d20", "1d20"),
            (" 2D6 + 3 ", "2d6+3"),
            ("4d6kh3", "4d6kh3"),
            ("4D6KL1-2", "4d6kl1-2"),
            ("2d6-1", "2d6-1"),
            ("1d2+0", "1d2"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(meant), "{text}");
        }
    }

    #[test]
    fn limits_are_named() {
        for (text, error) in [
            ("0d6", DiceError::Count),
            ("101d6", DiceError::Count),
            ("99999999999999999999d6", DiceError::Count),
            ("1d1", DiceError::Sides),
            ("1d1001", DiceError::Sides),
            ("2d6kh3", DiceError::Keep),
            ("2d6kl0", DiceError::Keep),
            ("1d6+100001", DiceError::Modifier),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        for text in ["", "d", "2d", "six", "2d6kh", "2d6+", "2d6+-1", "2d6+3x", "2d6é", "-1d6"] {
            assert_eq!(read(text), Err(DiceError::Nonsense), "{text}");
        }
    }

    #[test]
    fn a_roll_reads_like_a_sum() {
        let throw = |text: &str, dice: &[u32]| {
            let mut dice = dice.iter().copied();
            let parsed: Dice = text.parse().expect("the test's dice are good");
            parsed.roll(|_| dice.next().expect("enough dice")).to_string()
        };
        assert_eq!(throw("2d6+3", &[4, 2]), "2d6+3: 4 + 2 + 3 = 9");
        assert_eq!(throw("2d6-9", &[1, 2]), "2d6-9: 1 + 2 - 9 = -6");
        assert_eq!(throw("4d6kh3", &[1, 6, 1, 3]), "4d6kh3: 1 + 6 + [1] + 3 = 10");
        assert_eq!(throw("3d6kl1", &[5, 2, 2]), "3d6kl1: [5] + 2 + [2] = 2");
        assert_eq!(throw("d20", &[20]), "1d20: 20 = 20");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_printed_is_read_again(count in 1..=100u32, sides in 2..=1000u32, modifier in -9999..=9999i64) {
            let text = format!("{count}d{sides}{modifier:+}");
            let dice: Dice = text.parse().expect("within the limits");
            prop_assert_eq!(dice.to_string().parse::<Dice>(), Ok(dice));
        }

        #[test]
        fn the_highest_and_the_lowest_bound_any_choice(rolled in prop::collection::vec(1..=6u32, 1..=100), keep in 1..=100usize) {
            let (count, keep) = (rolled.len(), keep.min(rolled.len()));
            let total = |which: &str| {
                let mut dice = rolled.iter().copied();
                let parsed: Dice = format!("{count}d6{which}{keep}").parse().expect("within the limits");
                parsed.roll(|_| dice.next().expect("one per die")).total()
            };
            let first: i64 = rolled[..keep].iter().map(|&die| i64::from(die)).sum();
            prop_assert!(total("kl") <= first && first <= total("kh"));
        }
    }
}
