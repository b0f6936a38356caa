"""What every other part stands on: types, arrays, traces, primitives, programs. It knows no operation."""
