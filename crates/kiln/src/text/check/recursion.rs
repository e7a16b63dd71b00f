//! Which functions call themselves.
//!
//! Owns the search for cycles of calls, before anything has a type. The one idea: a search in depth over the bodies, on a
//! list instead of the stack; every cycle has a call back to a function on the way, and both ends of that call are
//! marked. So no chain of calls between unmarked functions comes back to where it began. Obligations of an adder: none.
//! Deliberately does not know what a body means, only which names it calls.

#![forbid(unsafe_code)]

use super::Checker;
use crate::span::{Diagnostic, quote};
use crate::text::ast::Kind;

/// How far the search for recursion has come with a function.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Search {
    #[default]
    NotYet,
    /// It is this one on the way.
    OnTheWay(u32),
    Done,
}

impl Checker<'_> {
    /// Follows all calls from all functions. Every cycle has a call back into the way on which the search is.
    pub(super) fn find_recursion(&mut self) {
        for start in 0..self.ast.functions.len() as u32 {
            let mut entered = self.is_whole(start).then_some(start);
            loop {
                if let Some(number) = entered.take() {
                    let functions = &mut self.state.functions;
                    if functions.states[number as usize].search == Search::NotYet {
                        functions.states[number as usize].search = Search::OnTheWay(functions.way.len() as u32);
                        functions.way.push((number, self.ast.functions[number as usize].begin + 1));
                    }
                }
                let Some(&(number, next)) = self.state.functions.way.last() else { break };
                let end = self.function(number).end;
                let call = (next..end).find(|&at| self.ast.nodes[at as usize].kind == Kind::Call);
                let Some(call) = call else {
                    self.state.functions.states[number as usize].search = Search::Done;
                    self.state.functions.way.pop();
                    continue;
                };
                if let Some(top) = self.state.functions.way.last_mut() {
                    top.1 = call + 1;
                }
                let Some(callee) = self.state.functions.find(self.ast.nodes[call as usize].symbol()) else { continue };
                match self.state.functions.states[callee as usize].search {
                    Search::OnTheWay(at) => self.recursion(at as usize, callee, number, call),
                    _ => entered = Some(callee),
                }
            }
        }
    }

    /// `caller`, the last on the way, calls `callee`, which is number `at` on the way.
    #[cold]
    fn recursion(&mut self, at: usize, callee: u32, caller: u32, call: u32) {
        const SHOWN: usize = 6;
        let functions = &mut self.state.functions;
        let said = functions.states[callee as usize].recursive || functions.states[caller as usize].recursive;
        functions.states[callee as usize].recursive = true;
        functions.states[caller as usize].recursive = true;
        if said {
            return;
        }
        let way = &self.state.functions.way[at..];
        let shown = way.iter().take(SHOWN).map(|&(number, _)| quote(self.function_name(number)));
        let mut names: Vec<String> = shown.collect();
        if way.len() > SHOWN {
            names.push("...".to_owned());
        }
        names.push(if callee == caller { "itself".to_owned() } else { quote(self.function_name(callee)) });
        let message = format!("{}, and functions cannot be recursive", names.join(" calls "));
        let node = self.ast.nodes[call as usize];
        let diagnostic = Diagnostic::error("recursion", node.span(), message);
        let help = "a loop repeats: `while`, `for`, or `sum(... for k in 0..n)`";
        let label = format!("{} is defined here", quote(self.function_name(callee)));
        self.sink.push(diagnostic.help(help).label(self.function(callee).name, label));
    }
}
