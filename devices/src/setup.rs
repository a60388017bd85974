//! Giving servos their ids and their rate, one servo at a time.
//!
//! New servos all have the same id. So one new servo is on the line at a time; those that have their own id already may stay. Nothing is
//! written before everything about the servo is known to be right, torque is taken off first, and what is written is read back.
//!
//! **No two servos of one id are made here:** a servo gets an id only while nobody answers at that id, and a servo whose id is that of
//! another joint is refused until a person says which it is. **An interruption loses nothing:** whatever was written is found the next time,
//! and only what is missing is written.

mod error;
mod write;

pub use error::SetupError;

use crate::servo_bus::{Bus, Protocol, RatedLine};
use crate::survey::{Maker, Presence, ServoFacts, look, presence, sweep};

/// Silence after which no answer of before is awaited any more, in microseconds.
const SETTLE_US: u64 = 20_000;

/// Ids up to this one are likely.
const LIKELY_ID_MAX: u8 = 20;

/// A joint, and the id that its servo is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The joint's name.
    pub joint: String,
    /// Its servo's id.
    pub id: u8,
}

/// What became of a servo.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// What it says of itself now.
    pub facts: ServoFacts,
    /// The id that it had.
    pub was_id: u8,
    /// The rate that it had, in bits a second.
    pub was_baud: u32,
    /// Whether its id or rate was written.
    pub written: bool,
    /// What is not as in the other servos of this arm, for a person.
    pub notes: Vec<String>,
}

/// The servos of an arm while they get their ids.
#[derive(Debug)]
pub struct Setup<P, L> {
    bus: Bus<P, L>,
    baud: u32,
    quick_us: u64,
    wanted: Vec<Wanted>,
    /// What is known of those that are done.
    done: Vec<Option<ServoFacts>>,
}

/// A servo on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    baud: u32,
    id: u8,
    presence: Presence,
}

impl<P: Maker, L: RatedLine> Setup<P, L> {
    /// The servos `wanted`, base first, on `bus`, which are to speak at `baud`. Where all ids are asked, each has `quick_us` microseconds to
    /// begin its answer.
    ///
    /// # Errors
    /// [`SetupError::Baud`], [`SetupError::Id`], [`SetupError::SameId`]: what no servo can be given.
    pub fn new(bus: Bus<P, L>, baud: u32, quick_us: u64, wanted: Vec<Wanted>) -> Result<Self, SetupError> {
        if P::baud_code(baud).is_none() {
            let known: Vec<String> = P::BAUD_CODES.iter().map(|(baud, _)| baud.to_string()).collect();
            return Err(SetupError::Baud {
                baud,
                known: known.join(", "),
            });
        }
        for (index, one) in wanted.iter().enumerate() {
            if one.id > <P as Protocol>::ID_MAX {
                return Err(SetupError::Id {
                    joint: one.joint.clone(),
                    id: one.id,
                    most: P::ID_MAX,
                });
            }
            if let Some(twin) = wanted[..index].iter().find(|other| other.id == one.id) {
                return Err(SetupError::SameId {
                    id: one.id,
                    joints: [twin.joint.clone(), one.joint.clone()],
                });
            }
        }
        Ok(Self {
            bus,
            baud,
            quick_us,
            done: vec![None; wanted.len()],
            wanted,
        })
    }

    /// The servos, base first.
    pub fn wanted(&self) -> &[Wanted] {
        &self.wanted
    }

    /// What is known of the servo of a joint that is done.
    pub fn done(&self, joint: usize) -> Option<&ServoFacts> {
        self.done.get(joint)?.as_ref()
    }

    /// The joint whose servo is next: the last one that is not done, so that the gripper comes first and the base last.
    pub fn next(&self) -> Option<usize> {
        self.done.iter().rposition(Option::is_none)
    }

    /// The bus, to reach emulated servos behind it.
    pub fn bus_mut(&mut self) -> &mut Bus<P, L> {
        &mut self.bus
    }

    /// Looks which servos of the arm have their id and rate already, and marks them as done. A servo with the id of a new one counts only
    /// if all the others are there, too: it may be a new one. Writes nothing but the lock of EEPROM, where an interruption left it open.
    ///
    /// # Errors
    /// [`SetupError::Twins`] if two answer at one id, or what the bus says.
    pub fn recognise(&mut self) -> Result<(), SetupError> {
        self.bus.set_baud(self.baud)?;
        self.bus.settle(SETTLE_US)?;
        let delivered_baud = self.baud == P::DELIVERED_BAUD;
        let new = |id: u8| id == P::DELIVERED_ID && delivered_baud;
        let mut found = vec![None; self.wanted.len()];
        for (joint, one) in self.wanted.iter().enumerate() {
            match presence(&mut self.bus, one.id)? {
                Presence::Absent => {}
                Presence::Several => {
                    return Err(SetupError::Twins {
                        id: one.id,
                        baud: self.baud,
                    });
                }
                Presence::One => {
                    let facts = look(&mut self.bus, one.id)?;
                    if facts.model_name.is_some() && facts.baud == Some(self.baud) {
                        found[joint] = Some(facts);
                    }
                }
            }
        }
        let others = self.wanted.iter().zip(&found);
        let others_done = others
            .filter(|(one, _)| !new(one.id))
            .all(|(_, facts)| facts.is_some());
        for (joint, facts) in found.into_iter().enumerate() {
            let id = self.wanted[joint].id;
            if facts.is_some() && (!new(id) || others_done) {
                self.lock(id)?;
                self.done[joint] = facts;
            }
        }
        Ok(())
    }

    /// Gives the one servo that is on the line beside those that are done the id and the rate of `joint`. `whichever` says that a
    /// person knows that the servo belongs to `joint`, although it has the id of another joint.
    ///
    /// # Errors
    /// [`SetupError`]. Nothing was written, but for the errors that say so.
    pub fn give(&mut self, joint: usize, whichever: bool) -> Result<Given, SetupError> {
        let wanted = self.wanted[joint].clone();
        let heard = self.only_new()?;
        self.bus.set_baud(heard.baud)?;
        let facts = look(&mut self.bus, heard.id)?;
        check::<P>(&facts)?;
        let other = self
            .wanted
            .iter()
            .find(|other| other.id == heard.id && heard.id != wanted.id);
        if let Some(other) = other.filter(|_| heard.id != P::DELIVERED_ID && !whichever) {
            return Err(SetupError::OtherJoint {
                id: heard.id,
                joint: other.joint.clone(),
                wanted: wanted.joint,
            });
        }
        let written = (heard.id, heard.baud) != (wanted.id, self.baud);
        self.write(heard, &wanted)?;
        let facts = look(&mut self.bus, wanted.id)?;
        let notes = self.differences(&facts);
        self.done[joint] = Some(facts.clone());
        Ok(Given {
            facts,
            was_id: heard.id,
            was_baud: heard.baud,
            written,
            notes,
        })
    }

    /// Checks that all servos are on the line, each once, once all were given their ids.
    ///
    /// # Errors
    /// [`SetupError::Missing`], [`SetupError::Twins`], or what the bus says.
    pub fn check_all(&mut self) -> Result<(), SetupError> {
        self.bus.set_baud(self.baud)?;
        self.bus.settle(SETTLE_US)?;
        let mut missing = Vec::new();
        for one in &self.wanted {
            match presence(&mut self.bus, one.id)? {
                Presence::One => {}
                Presence::Absent => missing.push(format!("{} (id {})", one.joint, one.id)),
                Presence::Several => {
                    return Err(SetupError::Twins {
                        id: one.id,
                        baud: self.baud,
                    });
                }
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(SetupError::Missing {
                joints: missing.join(", "),
            })
        }
    }

    /// Who answers. `quickly` asks every id at the rates that are likely, and likely ids at the others: a servo that is passed over so has
    /// neither the id nor the rate that is given next.
    fn listen(&mut self, quickly: bool) -> Result<Vec<Heard>, SetupError> {
        let mut heard = Vec::new();
        for baud in P::bauds(self.baud) {
            match self.bus.set_baud(baud) {
                Ok(()) => {}
                // An adapter need not have every rate.
                Err(_) if baud != self.baud => continue,
                Err(error) => return Err(error.into()),
            }
            self.bus.settle(SETTLE_US)?;
            let every = !quickly || baud == self.baud || baud == P::DELIVERED_BAUD;
            let wanted = &self.wanted;
            let ids = (0..=P::ID_MAX)
                .filter(|id| every || *id <= LIKELY_ID_MAX || wanted.iter().any(|one| one.id == *id));
            for (id, presence) in sweep(&mut self.bus, ids, self.quick_us)? {
                heard.push(Heard { baud, id, presence });
            }
        }
        Ok(heard)
    }

    /// The one servo on the line that is not done, whatever its id and rate.
    fn only_new(&mut self) -> Result<Heard, SetupError> {
        let mut heard = self.listen(true)?;
        if heard.is_empty() {
            heard = self.listen(false)?;
        }
        if let Some(twins) = heard.iter().find(|heard| heard.presence == Presence::Several) {
            return Err(SetupError::Twins {
                id: twins.id,
                baud: twins.baud,
            });
        }
        let is_done = |heard: &Heard| {
            let joint = self.wanted.iter().position(|one| one.id == heard.id);
            heard.baud == self.baud && joint.is_some_and(|joint| self.done[joint].is_some())
        };
        let (done, new): (Vec<Heard>, Vec<Heard>) = heard.into_iter().partition(is_done);
        match new[..] {
            [one] => Ok(one),
            [] => Err(SetupError::Nobody {
                line: self.bus.line().name().to_owned(),
                done: done.iter().map(|heard| heard.id).collect(),
            }),
            _ => Err(SetupError::Several {
                found: new
                    .iter()
                    .map(|heard| format!("id {} at {} bits a second", heard.id, heard.baud))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// What of a servo is not as in those that are done.
    fn differences(&self, facts: &ServoFacts) -> Vec<String> {
        let mut notes = Vec::new();
        for (one, done) in self.wanted.iter().zip(&self.done) {
            let Some(done) = done.as_ref().filter(|done| done.id != facts.id) else {
                continue;
            };
            if notes.is_empty() && done.model == facts.model && done.firmware != facts.firmware {
                notes.push(format!(
                    "its firmware is {}, that of {} is {}; the maker's program brings all to one version",
                    facts.firmware, one.joint, done.firmware
                ));
            }
        }
        let other = self.done.iter().flatten().find(|done| {
            done.model == facts.model && (done.voltage_limits_v.1 - facts.voltage_limits_v.1).abs() > 2.0
        });
        if let Some(other) = other {
            notes.push(format!(
                "it is made for up to {:.1} V, servo {} for up to {:.1} V; servos of both kinds cannot share one supply",
                facts.voltage_limits_v.1, other.id, other.voltage_limits_v.1
            ));
        }
        notes
    }
}

/// Refuses a servo to which nothing should be written.
fn check<P: Maker>(facts: &ServoFacts) -> Result<(), SetupError> {
    if facts.model_name.is_none() {
        let known: Vec<&str> = P::MODELS.iter().map(|(_, name)| *name).collect();
        return Err(SetupError::Model {
            id: facts.id,
            model: facts.model,
            firmware: facts.firmware.clone(),
            known: known.join(", "),
        });
    }
    if facts.voltage_is_wrong() {
        return Err(SetupError::Voltage {
            id: facts.id,
            model: facts.model_text(),
            firmware: facts.firmware.clone(),
            voltage_v: facts.voltage_v,
            least_v: facts.voltage_limits_v.0,
            most_v: facts.voltage_limits_v.1,
        });
    }
    Ok(())
}
