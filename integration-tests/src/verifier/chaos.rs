//! The faults: a schedule that follows from the seed.

use std::time::Duration;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::broker_process::BrokerProcess;
use super::fleet::Fleet;
use super::plan::{Fault, Plan};
use super::proxy::{Line, Proxy};

/// Pauses between an end and a new start, of instances and of the broker.
const RESTART_MS: std::ops::Range<u64> = 0..3_000;
/// How long lines are cut or deaf.
const CUT_MS: std::ops::Range<u64> = 500..15_000;
const DELAY_MS: std::ops::Range<u64> = 20..400;
const DELAYED_FOR_MS: std::ops::Range<u64> = 1_000..6_000;
/// How often instances that ended by themselves are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The world that faults happen to.
#[derive(Debug)]
pub(super) struct World {
    pub(super) fleet: Fleet,
    pub(super) broker: Option<BrokerProcess>,
    pub(super) proxies: Vec<Proxy>,
}

/// What is to be put right, and when.
#[derive(Debug, Clone, Copy)]
enum Repair {
    Start(usize),
    Continue(usize),
    Mend(usize),
    CutThenMend(usize),
}

/// Which faults happened, by their place in the enumeration.
#[derive(Debug, Default)]
pub(super) struct Tally(pub(super) [u64; 7]);

/// Lets faults happen until the plan's number is reached, and puts everything right in the end.
pub(super) async fn rage(plan: &Plan, world: &mut World) -> std::io::Result<Tally> {
    let mut random = StdRng::seed_from_u64(plan.seed ^ 0x00FA_0175);
    let mut repairs: Vec<(tokio::time::Instant, Repair)> = Vec::new();
    let mut tally = Tally::default();
    for _ in 0..plan.rounds {
        let pause = random.random_range(plan.pause_ms[0]..=plan.pause_ms[1].max(plan.pause_ms[0]));
        let until = tokio::time::Instant::now() + Duration::from_millis(pause);
        while tokio::time::Instant::now() < until {
            world.repair(&mut repairs, false).await?;
            tokio::time::sleep(LOOK).await;
        }
        let fault = plan.faults[random.random_range(0..plan.faults.len())];
        let number = random.random_range(0..world.fleet.len());
        world.strike(fault, number, plan, &mut random, &mut repairs).await?;
        tally.0[fault as usize] += 1;
    }
    world.repair(&mut repairs, true).await?;
    Ok(tally)
}

impl World {
    async fn strike(
        &mut self,
        fault: Fault,
        number: usize,
        plan: &Plan,
        random: &mut StdRng,
        repairs: &mut Vec<(tokio::time::Instant, Repair)>,
    ) -> std::io::Result<()> {
        let mut later = |range: std::ops::Range<u64>| {
            tokio::time::Instant::now() + Duration::from_millis(random.random_range(range))
        };
        match fault {
            Fault::Kill => {
                self.fleet.kill(number)?;
                repairs.push((later(RESTART_MS), Repair::Start(number)));
            }
            Fault::Leave => {
                if self.fleet.is_running(number) {
                    // One that is cut off cannot commit what it is to commit.
                    self.proxies.iter().skip(number).take(1).for_each(|proxy| proxy.set(Line::Sound));
                    // One that stands still would not hear it.
                    self.fleet.signal(number, "CONT")?;
                    self.fleet.end(number).await?;
                }
                repairs.push((later(RESTART_MS), Repair::Start(number)));
            }
            Fault::Stop => {
                self.fleet.signal(number, "STOP")?;
                let at = tokio::time::Instant::now() + 2 * plan.session();
                repairs.push((at, Repair::Continue(number)));
            }
            Fault::Broker => {
                let pause = Duration::from_millis(random.random_range(RESTART_MS));
                if let Some(broker) = &mut self.broker {
                    broker.kill_and_restart(pause).await?;
                }
            }
            Fault::Cut => {
                self.proxies[number].set(Line::Cut);
                repairs.push((later(CUT_MS), Repair::Mend(number)));
            }
            Fault::Delay => {
                let until = later(DELAYED_FOR_MS);
                let delay = Duration::from_millis(random.random_range(DELAY_MS));
                self.proxies[number].set(Line::Delayed(delay));
                repairs.push((until, Repair::Mend(number)));
            }
            Fault::Half => {
                let until = later(CUT_MS);
                let line = if random.random() { Line::DeafToBroker } else { Line::DeafToInstance };
                self.proxies[number].set(line);
                repairs.push((until, Repair::CutThenMend(number)));
            }
        }
        Ok(())
    }

    /// Puts right what is due; `all` does not wait for its time.
    async fn repair(
        &mut self,
        repairs: &mut Vec<(tokio::time::Instant, Repair)>,
        all: bool,
    ) -> std::io::Result<()> {
        self.fleet.revive()?;
        let now = tokio::time::Instant::now();
        for (at, repair) in std::mem::take(repairs) {
            if at > now && !all {
                repairs.push((at, repair));
                continue;
            }
            match repair {
                Repair::Start(number) => self.fleet.start(number)?,
                Repair::Continue(number) => self.fleet.signal(number, "CONT")?,
                Repair::Mend(number) => self.proxies[number].set(Line::Sound),
                Repair::CutThenMend(number) => {
                    self.proxies[number].set(Line::Cut);
                    tokio::time::sleep(LOOK).await;
                    self.proxies[number].set(Line::Sound);
                }
            }
        }
        Ok(())
    }
}
