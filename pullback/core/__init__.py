"""What all else stands on: types, arrays, traces, primitives, programs. It knows no operation."""
