//! Dice as players write them: `2d6+3`, `d20`, `4d6kh3`, `4d6!`, `2d6r1`, `6d10>=8`.

use std::{fmt, str::FromStr};

/// The most dice in one roll, with those that explode. An answer with more would be too long to read.
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
    /// Whether a die that shows its highest side brings another one.
    explode: bool,
    /// A die that shows this or less is rolled again, once. 0 for no die.
    reroll: u32,
    result: Outcome,
}

/// What a roll comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The sum of the dice that count, and a modifier.
    Sum(Keep, i64),
    /// The number of dice that show at least this.
    Successes(u32),
}

/// The dice that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    All,
    Highest(u32),
    Lowest(u32),
}

impl Dice {
    /// Rolls each die with `throw`, which gets the number of sides.
    pub fn roll(&self, mut throw: impl FnMut(u32) -> u32) -> Roll<'_> {
        let mut rolled = Vec::with_capacity(self.count as usize);
        let mut left = self.count;
        while left > 0 && rolled.len() < MOST_DICE as usize {
            let first = throw(self.sides);
            let before = Some(first).filter(|value| *value <= self.reroll);
            let value = if before.is_some() { throw(self.sides) } else { first };
            let explodes = self.explode && value == self.sides;
            left -= u32::from(!explodes);
            rolled.push(Die { value, before, explodes, counts: false });
        }
        let mut order: Vec<usize> = (0..rolled.len()).collect();
        let counted = match self.result {
            Outcome::Sum(Keep::All, _) => order.len(),
            Outcome::Sum(Keep::Highest(count), _) => {
                order.sort_by_key(|&i| std::cmp::Reverse(rolled[i].value));
                count as usize
            }
            Outcome::Sum(Keep::Lowest(count), _) => {
                order.sort_by_key(|&i| rolled[i].value);
                count as usize
            }
            Outcome::Successes(least) => {
                order.retain(|&i| rolled[i].value >= least);
                order.len()
            }
        };
        for &i in &order[..counted] {
            rolled[i].counts = true;
        }
        Roll { dice: self, rolled }
    }
}

/// One die that was rolled.
#[derive(Debug)]
struct Die {
    value: u32,
    /// What it showed before it was rolled again.
    before: Option<u32>,
    /// Whether it has brought another die.
    explodes: bool,
    counts: bool,
}

impl fmt::Display for Die {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.counts { ("", "") } else { ("[", "]") };
        f.write_str(open)?;
        if let Some(before) = self.before {
            write!(f, "{before}→")?;
        }
        write!(f, "{}{}{close}", self.value, if self.explodes { "!" } else { "" })
    }
}

/// One roll, shown as `2d6+3: 4 + 2 + 3 = 9`, with dropped dice in brackets.
#[derive(Debug)]
pub struct Roll<'a> {
    dice: &'a Dice,
    rolled: Vec<Die>,
}

impl Roll<'_> {
    /// The sum of the dice that count, and the modifier; or the number of dice that count.
    pub fn total(&self) -> i64 {
        let counted = self.rolled.iter().filter(|die| die.counts);
        match self.dice.result {
            Outcome::Sum(_, modifier) => counted.map(|die| i64::from(die.value)).sum::<i64>() + modifier,
            Outcome::Successes(_) => counted.map(|_| 1).sum(),
        }
    }
}

impl fmt::Display for Roll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.dice)?;
        let (between, modifier) = match self.dice.result {
            Outcome::Sum(_, modifier) => (" + ", modifier),
            Outcome::Successes(_) => (", ", 0),
        };
        for (i, die) in self.rolled.iter().enumerate() {
            write!(f, "{}{die}", if i > 0 { between } else { "" })?;
        }
        match modifier {
            0 => {}
            plus @ 1.. => write!(f, " + {plus}")?,
            minus => write!(f, " - {}", -minus)?,
        }
        write!(f, " = {}", self.total())?;
        match self.dice.result {
            Outcome::Sum(..) => Ok(()),
            Outcome::Successes(_) if self.total() == 1 => write!(f, " success"),
            Outcome::Successes(_) => write!(f, " successes"),
        }
    }
}

impl fmt::Display for Dice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d{}{}", self.count, self.sides, if self.explode { "!" } else { "" })?;
        if self.reroll > 0 {
            write!(f, "r{}", self.reroll)?;
        }
        let (keep, modifier) = match self.result {
            Outcome::Sum(keep, modifier) => (keep, modifier),
            Outcome::Successes(least) => return write!(f, ">={least}"),
        };
        match keep {
            Keep::All => {}
            Keep::Highest(count) => write!(f, "kh{count}")?,
            Keep::Lowest(count) => write!(f, "kl{count}")?,
        }
        if modifier == 0 { Ok(()) } else { write!(f, "{modifier:+}") }
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
    /// Every die would be rolled again.
    Reroll,
    /// The dice cannot show what counts as a success.
    Success,
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
            Self::Reroll => write!(f, "I roll a die again at 1 or more, and at less than its sides"),
            Self::Success => write!(f, "A success is 1 or more, and at most the sides of the die"),
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
        let (explode, rest) = rest.strip_prefix('!').map_or((false, rest), |rest| (true, rest));
        let (reroll, rest) = match rest.strip_prefix('r') {
            Some(rest) => {
                let (digits, rest) = number(rest);
                (within(digits, 1, sides - 1, DiceError::Reroll)?, rest)
            }
            None => (0, rest),
        };
        let result = match rest.strip_prefix(">=") {
            Some(digits) => Outcome::Successes(within(digits, 1, sides, DiceError::Success)?),
            None => sum(rest, count)?,
        };
        Ok(Self { count, sides, explode, reroll, result })
    }
}

/// What is kept of this many dice, and the modifier: `kh3+1`.
fn sum(text: &str, count: u32) -> Result<Outcome, DiceError> {
    let (keep, rest) = match (text.strip_prefix("kh"), text.strip_prefix("kl")) {
        (Some(rest), _) => kept(rest, count, Keep::Highest)?,
        (_, Some(rest)) => kept(rest, count, Keep::Lowest)?,
        _ => (Keep::All, text),
    };
    let modifier = match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
        (Some(digits), _) => i64::from(within(digits, 0, MOST_MODIFIER, DiceError::Modifier)?),
        (_, Some(digits)) => -i64::from(within(digits, 0, MOST_MODIFIER, DiceError::Modifier)?),
        _ if rest.is_empty() => 0,
        _ => return Err(DiceError::Nonsense),
    };
    Ok(Outcome::Sum(keep, modifier))
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
            ("4D6!", "4d6!"),
            ("2d6 r1 + 1", "2d6r1+1"),
            ("4d6!r2kh3-1", "4d6!r2kh3-1"),
            ("6d10 >= 8", "6d10>=8"),
            ("6d10!r1>=8", "6d10!r1>=8"),
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
            ("1d6r6", DiceError::Reroll),
            ("1d6r0", DiceError::Reroll),
            ("1d6>=7", DiceError::Success),
            ("1d6>=0", DiceError::Success),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        for text in [
            "",
            "d",
            "2d",
            "six",
            "2d6kh",
            "2d6+",
            "2d6+-1",
            "2d6+3x",
            "2d6é",
            "-1d6",
            "2d6r",
            "2d6>8",
            "2d6>=",
            "2d6kh1>=3",
            "2d6>=3+1",
            "2d6r1!",
        ] {
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
        assert_eq!(throw("2d6!", &[6, 6, 2, 3]), "2d6!: 6! + 6! + 2 + 3 = 17");
        assert_eq!(throw("2d6!kh2", &[6, 2, 3]), "2d6!kh2: 6! + [2] + 3 = 9");
        assert_eq!(throw("2d6r2+1", &[2, 1, 3]), "2d6r2+1: 2→1 + 3 + 1 = 5");
        assert_eq!(throw("4d10!r1>=8", &[8, 1, 9, 10, 2, 7]), "4d10!r1>=8: 8, 1→9, 10!, [2], [7] = 3 successes");
        assert_eq!(throw("1d6>=6", &[6]), "1d6>=6: 6 = 1 success");
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in ".{0,40}") {
            let _ = read(&text);
        }

        #[test]
        fn what_is_printed_is_read_again(
            count in 1..=100u32,
            sides in 2..=1000u32,
            how in "(!)?(r1)?(kh1|kl1)?",
            modifier in -9999..=9999i64,
            successes in any::<bool>(),
        ) {
            let text = match successes {
                true => format!("{count}d{sides}{}>={sides}", how.split('k').next().unwrap_or_default()),
                false => format!("{count}d{sides}{how}{modifier:+}"),
            };
            let dice: Dice = text.parse().expect("within the limits");
            prop_assert_eq!(dice.to_string().parse::<Dice>(), Ok(dice));
        }

        #[test]
        fn every_roll_ends(count in 1..=100u32, thrown in prop::collection::vec(1..=6u32, 1..50)) {
            // Dice that always explode, and any dice.
            for always in [true, false] {
                let mut thrown = thrown.iter().copied().cycle();
                let dice: Dice = format!("{count}d6!r1").parse().expect("within the limits");
                let roll = dice.roll(|sides| if always { sides } else { thrown.next().unwrap_or(sides) });
                prop_assert!((count as usize..=100).contains(&roll.rolled.len()));
                prop_assert!(roll.rolled.iter().all(|die| die.explodes == (die.value == 6)));
            }
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
