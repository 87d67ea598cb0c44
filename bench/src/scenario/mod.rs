//! Scenarios: what people call a load, from the command line to the figures.
//!
//! The way of a run: `args` and `options` are the command line; `draft` makes of it the plan of the load (`omb` knows
//! the cases of a suite), `split` cuts it for several processes; `one` carries it out against one broker, with `watch`
//! looking on from outside, `held` and `kafka` at the side; `rounds` runs several brokers in turn and puts the figures
//! where they are wanted.

mod args;
mod options;

mod draft;
mod omb;
mod split;

mod held;
mod interrupt;
mod kafka;
mod one;
mod progress;
mod watch;

mod rounds;

#[cfg(test)]
mod tests;

pub(crate) use args::Scenario;

/// Exit codes: 0 all is well, 1 the account is bad or something failed, 2 what is asked for makes no sense.
const USAGE: u8 = 2;

/// Runs a scenario as the command line has it; and the exit code.
pub(crate) fn run(scenario: &Scenario) -> u8 {
    if let Scenario::Omb(args) = scenario
        && args.list
    {
        print!("{}", omb::list());
        return 0;
    }
    let course = match rounds::Course::new(scenario) {
        Ok(course) => course,
        Err(error) => {
            eprintln!("error: {error}");
            return USAGE;
        }
    };
    match course.run() {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    }
}
