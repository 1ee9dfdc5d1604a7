//! What the end-to-end tests share: the parts under test (`build`), a bot in the test's own process (`rig`), and the
//! product as its users have it, the executable (`bot`), and everything going wrong at once (`chaos`).

pub mod bot;
pub mod build;
pub mod chaos;
pub mod rig;
