"""ADBench's four objectives and their Jacobians, for Pullback and its peers.

The objectives are those of F. Srajer, Z. Kukelova and A. Fitzgibbon, "A benchmark of selected
algorithmic differentiation tools on some problems in computer vision and machine learning"
(Optimization Methods and Software 33, 2018), and of Microsoft's repository ADBench, which added
the LSTM. The data are synthetic, seeded, and of ADBench's sizes.

Read `work.py` first (what a problem offers), then one problem (`gmm.py` is the plainest), then
`__main__.py`.
"""
