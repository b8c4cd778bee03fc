//! The members of a training, dealt out to the threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::error::Result;
use crate::hyperparameters::Loss;
use crate::network::{Batch, Examples, Group, Parameters, Rate};

/// The members of a group in parts, one for each thread, where there are as many members as threads; otherwise in one part,
/// whose passes all threads share.
///
/// A thread with members of its own needs nothing that another has written, and waits for nobody within a batch. It
/// normalises the whole batch though, as the others do: that takes less time than it would to fetch from the other cores
/// what they have normalised or updated. A thread that has done its part helps with the others.
#[derive(Debug)]
pub struct Parts {
    parts: Vec<Part>,
    whole: Group,
}

#[derive(Debug)]
struct Part {
    members: Range<usize>,
    group: Group,
    batch: Batch,
}

impl Parts {
    /// Parts for the threads there are, and mini-batches of up to `examples`; `losses` has an element a member.
    ///
    /// # Errors
    ///
    /// Those of [`Group::new`] and [`Group::with_losses`].
    pub fn new(members: &[Parameters], losses: &[Loss], examples: usize) -> Result<Self> {
        let whole = Group::new(members)?.with_losses(losses)?;
        let m = members.len();
        let parts = match rayon::current_num_threads() {
            threads if threads <= m => threads,
            _ => 1,
        };
        let part = |i| {
            let range = i * m / parts..(i + 1) * m / parts;
            let group = Group::new(&members[range.clone()])?.with_losses(&losses[range.clone()])?;
            Ok(Part { members: range, batch: Batch::new(&group, examples), group })
        };
        let parts = (0..parts).map(part).collect::<Result<_>>()?;
        Ok(Self { parts, whole })
    }

    /// [`Group::step`] of every member.
    ///
    /// # Errors
    ///
    /// Those of [`Group::step`].
    pub fn step(&mut self, examples: Examples, rates: &[Rate]) -> Result<()> {
        self.parts.par_iter_mut().try_for_each(|part| {
            let rates = &rates[part.members.clone()];
            part.group.step(&mut part.batch, examples, rates)
        })
    }

    /// [`Group::losses`] of every member.
    pub fn losses(&self, n: usize) -> Vec<f64> {
        let parts = self.parts.iter();
        parts.flat_map(|p| p.group.losses(&p.batch, n)).collect()
    }

    /// Brings [`whole`](Self::whole) up to date.
    pub fn gather(&mut self) {
        for part in &self.parts {
            self.whole.put(part.members.start, &part.group);
        }
    }

    /// All members in one group, as old as the last [`gather`](Self::gather): a pass over that normalises each example once.
    pub fn whole(&self) -> &Group {
        &self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dims;

    const DIMS: Dims = Dims { features: 70, classes: 3 };

    fn members(m: usize) -> Vec<Parameters> {
        let member = |j| {
            let weight = (0..210).map(|i| ((i * 7 + j * 3) % 11) as f32 / 11.0 - 0.5);
            Parameters::new(DIMS, weight.collect(), vec![0.1, 0.0, j as f32]).unwrap()
        };
        (0..m).map(member).collect()
    }

    /// How many parts there are at `threads`, and all members after one step and as they were.
    fn step(m: usize, threads: usize) -> (usize, [Vec<Parameters>; 2]) {
        let x: Vec<_> = (0..420).map(|i| (i % 13) as f32 / 6.0 - 1.0).collect();
        let examples = Examples::Rows(&x, &[0, 1, 2, 2, 1, 0]);
        let rate = |j| Rate { eta: 0.1, lambda: j as f32 };
        let rates: Vec<_> = (0..m).map(rate).collect();
        let losses: Vec<_> = Loss::ALL.into_iter().cycle().take(m).collect();
        let step = || {
            let mut parts = Parts::new(&members(m), &losses, 6).unwrap();
            parts.step(examples, &rates).unwrap();
            let members = |group: &Group| (0..m).map(|j| group.member(j)).collect::<Vec<_>>();
            let before = members(parts.whole());
            parts.gather();
            (parts.parts.len(), [members(parts.whole()), before])
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(step)
    }

    #[test]
    fn members_are_dealt_out_when_each_thread_gets_one_and_a_step_is_the_same_to_the_last_bit() {
        for m in [1, 3, 4] {
            let (parts, [expected, before]) = step(m, 1);
            assert_eq!(parts, 1);
            assert_eq!(before, members(m));
            assert!(expected.iter().zip(&before).all(|(a, b)| a != b), "a step moves");
            for threads in 2..=5 {
                let parts = if threads <= m { threads } else { 1 };
                assert_eq!(step(m, threads), (parts, [expected.clone(), before.clone()]));
            }
        }
    }

    #[test]
    fn what_is_no_group_is_refused() {
        assert!(Parts::new(&[], &[], 1).is_err());
        assert!(Parts::new(&members(2), &[Loss::Bce], 1).is_err());
    }
}
