"""jraph: graph networks on a batch of small graphs, and the gradient of a loss of their outputs."""

import jax
import jax.numpy as jnp
import jraph
import numpy as np

rng = np.random.default_rng(0)


def random_graph(nodes, edges):
    return jraph.GraphsTuple(
        nodes=jnp.asarray(rng.normal(size=(nodes, 4)), jnp.float32),
        edges=jnp.asarray(rng.normal(size=(edges, 3)), jnp.float32),
        senders=jnp.asarray(rng.integers(0, nodes, edges)),
        receivers=jnp.asarray(rng.integers(0, nodes, edges)),
        n_node=jnp.array([nodes]),
        n_edge=jnp.array([edges]),
        globals=jnp.asarray(rng.normal(size=(1, 2)), jnp.float32),
    )


graphs = jraph.batch([random_graph(5, 8), random_graph(3, 4), random_graph(6, 10)])
padded = jraph.pad_with_graphs(graphs, n_node=20, n_edge=30, n_graph=5)
weights = {
    name: jnp.asarray(rng.normal(size=shape) / 4, jnp.float32)
    for name, shape in {"edge": (13, 3), "node": (12, 4), "global": (9, 2), "key": (4, 4)}.items()
}


def update(name, *features):
    return jnp.tanh(jnp.concatenate(features, axis=-1) @ weights_now[name])


@jax.jit
def network(weights, graph):
    global weights_now
    weights_now = weights
    net = jraph.GraphNetwork(
        update_edge_fn=lambda e, s, r, g: update("edge", e, s, r, g),
        update_node_fn=lambda n, s, r, g: update("node", n, s, r, g[..., :2]),
        update_global_fn=lambda n, e, g: update("global", n, e, g),
    )
    return net(graph)


weights["node"] = jnp.asarray(rng.normal(size=(4 + 3 + 3 + 2, 4)) / 4, jnp.float32)
out = network(weights, padded)
print(out.nodes.shape, out.edges.shape, out.globals.shape)
print(out.globals[:3])


def loss(weights):
    out = network(weights, padded)
    mask = jraph.get_graph_padding_mask(padded)
    return jnp.sum(jnp.where(mask[:, None], out.globals, 0) ** 2)


gradient = jax.grad(loss)(weights)
print({name: round(float(jnp.linalg.norm(g)), 4) for name, g in gradient.items()})

convolution = jraph.GraphConvolution(lambda n: n @ weights["key"], add_self_edges=True)
print(convolution(graphs).nodes[:3])

attention = jraph.GAT(
    attention_query_fn=lambda n: n @ weights["key"],
    attention_logit_fn=lambda s, r, e: jnp.sum(s * r, axis=-1, keepdims=True),
)
print(attention(graphs._replace(edges=None)).nodes[:3])

total = jraph.segment_mean(graphs.nodes, jnp.repeat(jnp.arange(3), graphs.n_node), 3)
soft = jraph.segment_softmax(graphs.edges[:, 0], graphs.receivers, 14)
print(total, jnp.sum(soft))
print([int(g.n_node[0]) for g in jraph.unbatch(graphs)])
print(jraph.segment_max_or_constant(graphs.edges[:, 0], graphs.receivers, 14))
