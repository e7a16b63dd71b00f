pub trait Choices { fn below(&mut self, n: usize) -> usize; }
