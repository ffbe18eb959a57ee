//! What the program makes of bytes and lines that nobody has described to it: captured frames, and
//! meters that answer.

mod decode;
mod scan;
