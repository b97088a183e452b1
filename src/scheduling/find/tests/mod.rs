mod cases;
mod model;
mod random;
