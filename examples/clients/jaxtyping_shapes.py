"""jaxtyping: shapes and dtypes in annotations, checked against arrays, tracers and structures."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Float32, Int, Key, PRNGKeyArray, PyTree, Shaped

x = jnp.ones((3, 4))
print("Float 3 4:", isinstance(x, Float[Array, "3 4"]), isinstance(x, Float[Array, "4 3"]))
print("Float32:", isinstance(x, Float32[Array, "..."]), isinstance(x, Int[Array, "..."]))
print("Bool:", isinstance(x > 0, Bool[Array, "3 4"]), isinstance(x, Bool[Array, "3 4"]))
print("Complex:", isinstance(x * 1j, Complex[Array, "a b"]))
print(
    "named axes:", isinstance(x, Shaped[Array, "rows columns"]), isinstance(x, Float[Array, "n n"])
)
print("key:", isinstance(jax.random.key(0), Key[Array, ""]), isinstance(x, PRNGKeyArray))
print("tree:", isinstance({"a": x, "b": [x]}, PyTree[Float[Array, "3 4"]]))
print("tree of the wrong type:", isinstance({"a": 1}, PyTree[Float[Array, "..."]]))
print(
    "structure:",
    isinstance(jax.ShapeDtypeStruct((2,), jnp.float32), Float[jax.ShapeDtypeStruct, "2"]),
)
jax.jit(lambda v: print("a tracer:", isinstance(v, Float[Array, "3 4"])) or v)(x)
jax.vmap(lambda v: print("in vmap:", isinstance(v, Float[Array, "4"])) or v)(x)
jax.grad(lambda v: print("in grad:", isinstance(v, Float[Array, "3 4"])) or v.sum())(x)
print(Float[Array, "batch channels"].dim_str)
