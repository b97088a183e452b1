//! Messages received over real connections: answered, known again, in their order, in no case
//! lost.

mod acknowledgements;
mod down;
mod duplicates;
mod failed;
mod fixture;
mod frames;
mod killed;
mod order;
mod peers;
mod pins;
mod wire;
