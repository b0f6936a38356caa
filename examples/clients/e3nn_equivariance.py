"""e3nn-jax: spherical harmonics, tensor products, a layer, and that rotations commute."""

import e3nn_jax as e3nn
import jax
import jax.numpy as jnp
import numpy as np

x = e3nn.normal("2x0e + 1x1o", jax.random.PRNGKey(0), (4,))
print(x.irreps, x.shape, np.round(x.array[0], 4))

harmonics = e3nn.spherical_harmonics(
    "0e + 1o + 2e + 3o", jnp.array([0.3, -0.5, 0.8]), normalize=True
)
print(harmonics.irreps, np.round(harmonics.array, 4))

product = e3nn.tensor_product(x, x)
print(product.irreps, np.round(product.array[0, :6], 4))
print("clebsch-gordan:", np.round(e3nn.clebsch_gordan(1, 1, 2)[0], 4))

linear = e3nn.FunctionalLinear(x.irreps, "3x0e + 2x1o")
weights = [
    jax.random.normal(k, w.path_shape)
    for k, w in zip(jax.random.split(jax.random.PRNGKey(1), 9), linear.instructions)
]
out = linear(weights, x[0])
print(out.irreps, np.round(out.array, 4))

rotation = e3nn.rand_matrix(jax.random.PRNGKey(2), ())


def layer(x):
    return e3nn.gate(e3nn.tensor_product(x, x).filter("2x0e + 1x0e + 1x1o"))


before, after = layer(x.transform_by_matrix(rotation)), layer(x).transform_by_matrix(rotation)
print("equivariant:", bool(jnp.allclose(before.array, after.array, atol=1e-5)))
print("norms:", np.round(e3nn.norm(x).array[1], 4))

gradient = e3nn.grad(lambda v: e3nn.sum(layer(v).filter("0e")).simplify())(x)
print("gradient:", gradient.irreps if hasattr(gradient, "irreps") else type(gradient).__name__)
gradient = jax.grad(lambda v: jnp.sum(layer(v).array ** 2))(x)
print(np.round(gradient.array[0], 4))
print("wigner D:", np.round(e3nn.Irrep("2e").D_from_angles(0.1, 0.2, 0.3)[0], 4))
signal = e3nn.to_s2grid(harmonics, 6, 5, quadrature="soft")
print("on the sphere:", np.round(signal.grid_values[2], 4))
print(
    "soft one hot:",
    np.round(
        e3nn.soft_one_hot_linspace(
            0.4, start=0.0, end=1.0, number=4, basis="gaussian", cutoff=True
        ),
        4,
    ),
)
