//! Pieces through the formulas, in order, by one thread or several; what is computed of a piece is the caller's business.
//!
//! The one idea: one thread reads, some compute, and the one that called writes; piece `n` goes to computing thread
//! `n % k` and comes back from there, so the order needs no numbers, and what is written depends on no timing. Each
//! thread has a short queue before it, so memory is bounded by the number of threads.

use super::piece::{Input, Piece, Places};
use crate::report::Failure;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// So many pieces wait before a thread at most.
const QUEUE: usize = 1;

/// What was computed of a piece, and what became of its rows.
pub(crate) struct Computed<T> {
    pub(crate) what: T,
    /// How many rows were read for it.
    pub(crate) read: u64,
    pub(crate) places: Places,
    /// How far the reader was behind them.
    pub(crate) done: u64,
}

fn apply<T>(compute: &(dyn Fn(&Piece) -> Result<T, Failure> + Sync), piece: Piece) -> Result<Computed<T>, Failure> {
    let what = compute(&piece)?;
    Ok(Computed { what, read: piece.batch.num_rows() as u64, places: piece.places, done: piece.done })
}

/// Gives `write` what is computed of each piece, in the order of the pieces, up to the first failure.
pub(crate) fn run<T: Send>(
    threads: usize,
    input: &mut (dyn Input + Send),
    compute: &(dyn Fn(&Piece) -> Result<T, Failure> + Sync),
    write: &mut dyn FnMut(Computed<T>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if threads < 2 {
        while let Some(piece) = input.next()? {
            write(apply(compute, piece)?)?;
        }
        return Ok(());
    }
    thread::scope(|scope| {
        let (mut senders, mut receivers) = (Vec::new(), Vec::new());
        for _ in 0..(threads - 1).max(1) {
            let (to, pieces) = sync_channel::<Result<Piece, Failure>>(QUEUE);
            let (answer, from) = sync_channel::<Result<Computed<T>, Failure>>(QUEUE);
            senders.push(to);
            receivers.push(from);
            scope.spawn(move || work(compute, &pieces, &answer));
        }
        scope.spawn(move || read(input, &senders));
        // When this returns early, the queues close, and with them the threads end.
        for receiver in receivers.iter().cycle() {
            match receiver.recv() {
                Ok(computed) => write(computed?)?,
                Err(_) => break,
            }
        }
        drop(receivers);
        Ok(())
    })
}

/// Hands out pieces in turns until there are no more, or nobody wants them.
fn read(input: &mut (dyn Input + Send), senders: &[SyncSender<Result<Piece, Failure>>]) {
    for sender in senders.iter().cycle() {
        let piece = match input.next() {
            Ok(Some(piece)) => Ok(piece),
            Ok(None) => return,
            Err(failure) => Err(failure),
        };
        let last = piece.is_err();
        if sender.send(piece).is_err() || last {
            return;
        }
    }
}

fn work<T>(
    compute: &(dyn Fn(&Piece) -> Result<T, Failure> + Sync),
    pieces: &Receiver<Result<Piece, Failure>>,
    answer: &SyncSender<Result<Computed<T>, Failure>>,
) {
    for piece in pieces {
        if answer.send(piece.and_then(|piece| apply(compute, piece))).is_err() {
            return;
        }
    }
}
