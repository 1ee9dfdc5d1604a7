//! Lets a channel vote: `!poll Where do we eat? pizza or sushi`, `!vote 2`, `!poll close`.
#![forbid(unsafe_code)]

mod ballot;

use ballot::Ballot;
use plugin_api::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The key of the open poll of a channel.
const OPEN: &str = "open";

/// The key of the number of polls that a channel ever had.
const COUNT: &str = "polls";

/// The key of what a person did last in a channel.
const OWN: &str = "own";

/// The table `[plugins.poll.config]` of the operator's configuration.
#[derive(Settings)]
pub struct PollSettings {
    /// How long a poll is open, unless it is closed before.
    #[setting(default = "1h", range = "1m"..="30d")]
    open: Duration,
}

/// The plugin. The store has the polls, and the host ends each in time, whatever is stopped meanwhile.
pub struct Poll(PollSettings);

#[derive(Serialize, Deserialize)]
struct Open {
    number: u64,
    ballot: Ballot,
}

/// What a person did in the poll with this number. The store knows the person by the account, if the network has one.
#[derive(Default, Serialize, Deserialize)]
struct Own {
    number: u64,
    opened: bool,
    option: Option<usize>,
}

#[plugin(probe = "poll", store_version = 1)]
impl Poll {
    #[create]
    fn new(settings: PollSettings) -> Self {
        Self(settings)
    }

    /// Begin a poll, or see the open one: `!poll Where do we eat? pizza or sushi`, `!poll Shall we?`, `!poll`
    #[command]
    async fn poll(&self, cx: &Context, ballot: Option<Ballot>) -> Result<String> {
        let store = cx.store().channel();
        let open: Option<Open> = store.get(OPEN).await?;
        let (ballot, number) = match (open, ballot) {
            (None, Some(ballot)) => (ballot, store.get::<u64>(COUNT).await?.unwrap_or(0) + 1),
            (Some(open), None) => return Ok(format!("{}. To vote: !vote 1", open.ballot.shown())),
            (Some(open), Some(_)) => return Ok(format!("There is an open poll: {}", open.ballot.shown())),
            (None, None) => {
                return Ok("There is no poll. To begin one: !poll Where do we eat? pizza or sushi".to_owned());
            }
        };
        let text = format!("{}. To vote: !vote 1", ballot.shown());
        store.put(COUNT, &number)?;
        store.put(OPEN, &Open { number, ballot })?;
        cx.store().member().put(OWN, &Own { number, opened: true, option: None })?;
        cx.after(self.0.open, &timer(cx), &number)?;
        Ok(text)
    }

    /// Vote, by number or by name; the last vote counts: `!vote 2`, `!vote sushi`
    #[command]
    async fn vote(&self, cx: &Context, option: String) -> Result<String> {
        let Some(mut open) = cx.store().channel().get::<Open>(OPEN).await? else {
            return Ok("There is no poll. To begin one: !poll Where do we eat? pizza or sushi".to_owned());
        };
        let Some(at) = open.ballot.option(&option) else {
            return Ok(format!("{option} is no option. {}", open.ballot.shown()));
        };
        let own = cx.store().member().get::<Own>(OWN).await?.filter(|own| own.number == open.number);
        let own = own.unwrap_or(Own { number: open.number, ..Own::default() });
        if let Some(before) = own.option {
            open.ballot.votes[before] -= 1;
        }
        open.ballot.votes[at] += 1;
        // Two people may vote at once. Then the host runs the second vote again, which counts on from the first.
        cx.store().channel().put(OPEN, &open)?;
        cx.store().member().put(OWN, &Own { option: Some(at), ..own })?;
        Ok(open.ballot.shown())
    }

    /// Close your poll: `!poll close`
    #[command(path = "poll close", aliases("end"))]
    async fn close(&self, cx: &Context) -> Result<String> {
        let Some(open) = cx.store().channel().get::<Open>(OPEN).await? else {
            return Ok("There is no poll.".to_owned());
        };
        let own = cx.store().member().get::<Own>(OWN).await?.unwrap_or_default();
        if !own.opened || own.number != open.number {
            return Ok("Only the person who began the poll can close it.".to_owned());
        }
        end(cx)?;
        Ok(open.ballot.result())
    }

    /// Remove a poll without a result: `!poll remove`
    #[command(path = "poll remove", requires = "operator")]
    fn remove(&self, cx: &Context) -> Result<&'static str> {
        end(cx)?;
        Ok("There is no poll any more.")
    }

    /// The time of a poll is over.
    #[timer]
    async fn over(&self, cx: &Context) -> Result<Reply> {
        let open: Option<Open> = cx.store().channel().get(OPEN).await?;
        end(cx)?;
        Ok(open.map_or(Reply::none(), |open| open.ballot.result().into()))
    }
}

fn end(cx: &Context) -> Result<()> {
    cx.cancel_timer(&timer(cx))?;
    cx.store().channel().delete(OPEN)
}

/// The name of the timer that closes the poll of a channel.
fn timer(cx: &Context) -> String {
    format!("close/{}/{}", cx.connector(), cx.channel())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::Bot;

    #[test]
    fn a_poll_counts_the_last_vote_of_each_person() {
        let bot = Bot::<Poll>::new();
        assert!(bot.say("!poll").reply().starts_with("There is no poll. To begin one: "));
        let text = "Where do we eat? 1 pizza (0), 2 sushi (0). To vote: !vote 1";
        assert_eq!(bot.say("!poll Where do we eat? pizza or sushi").reply(), text);
        assert_eq!(bot.say("!vote sushi").reply(), "Where do we eat? 1 pizza (0), 2 sushi (1)");
        assert_eq!(bot.say_as("bob", "!vote 1").reply(), "Where do we eat? 1 pizza (1), 2 sushi (1)");
        assert_eq!(bot.say("!vote 1").reply(), "Where do we eat? 1 pizza (2), 2 sushi (0)");
        assert!(bot.say("!vote 3").reply().starts_with("3 is no option. Where do we eat? 1 pizza"));
        assert!(bot.say("!poll Why? a or b").reply().starts_with("There is an open poll: Where"));
        assert_eq!(bot.say_as("bob", "!poll close").reply(), "Only the person who began the poll can close it.");
        let result = "Where do we eat? pizza wins with 2 of 2 votes: 1 pizza (2), 2 sushi (0)";
        assert_eq!(bot.say("!poll end").reply(), result);
        assert!(bot.timers().is_empty());
        // A vote in one poll is none in the next, and who opened one does not close another.
        bot.say_as("bob", "!poll Again?");
        assert_eq!(bot.say("!vote yes").reply(), "Again? 1 yes (1), 2 no (0)");
        assert_eq!(bot.say("!poll close").reply(), "Only the person who began the poll can close it.");
        assert_eq!(bot.person("alice").in_channel("#other").say("!poll close").reply(), "There is no poll.");
    }

    #[test]
    fn a_poll_ends_by_itself() {
        let bot = Bot::<Poll>::with_settings(r#"{"open": "10m"}"#).expect("these are right");
        bot.say("!poll Tea?");
        bot.say("!vote no");
        assert!(bot.advance(Duration::from_secs(599)).is_empty());
        assert_eq!(
            bot.advance(Duration::from_secs(1))[0].reply(),
            "Tea? no wins with 1 of 1 vote: 1 yes (0), 2 no (1)"
        );
        assert_eq!(
            bot.say("!vote no").reply(),
            "There is no poll. To begin one: !poll Where do we eat? pizza or sushi"
        );
        assert!(bot.probe().reply().starts_with("There is no poll."));
        bot.say("!poll Tea?");
        assert_eq!(bot.say("!poll remove").reply(), "There is no poll any more.");
        assert!(bot.advance(Duration::from_secs(3600)).is_empty());
    }

    #[test]
    fn what_is_no_poll_is_explained() {
        let bot = Bot::<Poll>::new();
        let usage = "Usage: !poll Where do we eat? pizza or sushi, !poll Shall we?, !poll";
        assert_eq!(
            bot.say("!poll pizza").reply(),
            format!("A poll begins with a question and a question mark. {usage}")
        );
    }
}
