"""The networks in Keras, and how a network becomes a streaming SavedModel.

Read in this order: `gates` (the equations), `networks` (what is trained), `streaming`
(the same network as a pure function of sequence and memory), `export` (the SavedModel).
Knows nothing of training data, HTTP or sessions.
"""
