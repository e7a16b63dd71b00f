//! Inputs that come in pieces, as large tables in memory do.
//!
//! The one idea: between two rows at which some input goes on to its next piece, all inputs are plain columns; each such
//! stretch is a call of its own. Knows no formula.

use super::columns::with_own_outputs;
use super::layout::Place;
use super::view::{AsColumnMut, Column, ColumnMut};

/// Calls `run` with the columns of each stretch, its first row and the number of its rows. The pieces of each input have
/// `rows` rows together, none is empty, and so have the outputs.
pub(crate) fn evaluate<E>(
    inputs: &[Vec<Place<'_>>],
    outputs: &[Place<'_>],
    rows: usize,
    mut run: impl FnMut(&mut [Place<'_>], usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    if are_tangled(inputs, outputs, rows) {
        return with_own_outputs(outputs, 0, rows, |own| stretches(inputs, own, rows, &mut run));
    }
    stretches(inputs, outputs, rows, &mut run)
}

/// The same with columns in place of places.
pub(crate) fn evaluate_columns<E>(
    inputs: &[Vec<Place<'_>>],
    outputs: &[Place<'_>],
    rows: usize,
    mut run: impl FnMut(&[Column<'_>], &mut [&mut dyn AsColumnMut], usize) -> Result<(), E>,
) -> Result<(), E> {
    evaluate(inputs, outputs, rows, |places, _, count| {
        let (inputs, outputs) = places.split_at(inputs.len());
        let inputs: Vec<Column<'_>> = inputs.iter().map(Place::as_input).collect();
        let mut views: Vec<ColumnMut<'_>> = Vec::with_capacity(outputs.len());
        for place in outputs {
            // SAFETY: the places behind the inputs are those of outputs. The tests of pieces in tests/columns.rs compare them.
            views.push(unsafe { place.as_output() });
        }
        let mut outputs: Vec<&mut dyn AsColumnMut> =
            views.iter_mut().map(|column| column as &mut dyn AsColumnMut).collect();
        run(&inputs, &mut outputs, count)
    })
}

/// Would a stretch write to rows that a later one reads?
fn are_tangled(inputs: &[Vec<Place<'_>>], outputs: &[Place<'_>], rows: usize) -> bool {
    let several = |output: &Place<'_>| {
        inputs.iter().any(|pieces| {
            let mut first = 0;
            pieces.iter().any(|piece| {
                let count = piece.rows().min(rows - first);
                let here = output.part(first, count);
                first += count;
                let in_place = piece.is_same(&here) && output.rows_are_apart(rows);
                !in_place && !piece.is_apart_from(count, output, rows)
            })
        })
    };
    let meet = |(i, output): (usize, &Place<'_>)| outputs[..i].iter().any(|o| !o.is_apart_from(rows, output, rows));
    outputs.iter().any(several) || outputs.iter().enumerate().any(meet)
}

fn stretches<E>(
    inputs: &[Vec<Place<'_>>],
    outputs: &[Place<'_>],
    rows: usize,
    run: &mut impl FnMut(&mut [Place<'_>], usize, usize) -> Result<(), E>,
) -> Result<(), E> {
    // Of each input the piece, and how many of its rows are done.
    let mut at = vec![(0usize, 0usize); inputs.len()];
    let mut places = Vec::with_capacity(inputs.len() + outputs.len());
    let mut first = 0;
    while first < rows {
        let left = at.iter().zip(inputs).map(|(&(piece, done), pieces)| pieces[piece].rows() - done);
        let count = left.fold(rows - first, usize::min);
        places.clear();
        places.extend(at.iter().zip(inputs).map(|(&(piece, done), pieces)| pieces[piece].part(done, count)));
        places.extend(outputs.iter().map(|output| output.part(first, count)));
        run(&mut places, first, count)?;
        for ((piece, done), pieces) in at.iter_mut().zip(inputs) {
            *done += count;
            if *done == pieces[*piece].rows() {
                (*piece, *done) = (*piece + 1, 0);
            }
        }
        first += count;
    }
    Ok(())
}
