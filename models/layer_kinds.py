"""Every layer of Keras by what it does with timesteps.

A test compares the table with `keras.layers`, so that a layer of a new Keras has to be
judged here. A class that is not in the table, such as one of a user's own, is taken to
treat every timestep alone, and the proof decides.
"""

from __future__ import annotations


def words(text: str) -> list[str]:
    """Split a table's cell into its names."""
    return text.split()


# Treats every timestep alone, if its axis is not the timesteps.
ALONE = words("""
Activation ActivityRegularization Add AlphaDropout Average BatchNormalization
CategoryEncoding Concatenate Dense Discretization Dot Dropout EinsumDense ELU Embedding
FlaxLayer GaussianDropout GaussianNoise HashedCrossing Hashing Identity IntegerLookup
JaxLayer Lambda Layer LayerNormalization LeakyReLU Masking Maximum Minimum Multiply
Normalization PReLU RMSNormalization ReLU Rescaling ReversibleEmbedding Softmax
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StringLookup
Subtract TFSMLayer TorchModuleWrapper UnitNormalization Wrapper
""")

# Changes pictures in training, and nothing when a model is served.
ALONE += words("""
AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration
RandomColorJitter RandomContrast RandomElasticTransform RandomErasing RandomFlip
RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear
RandomTranslation RandomZoom
""")

# Has a streaming form with a memory.
REMEMBERS = words("""
RNN LSTM GRU SimpleRNN Conv1D GlobalAveragePooling1D GlobalMaxPooling1D
""")

# Folds timesteps into the batch.
FOLDS = ["TimeDistributed"]

# Not part of a graph of its own.
PARTS = words("""
GRUCell LSTMCell SimpleRNNCell StackedRNNCells InputLayer Pipeline
""")

# Takes the timesteps for the rows of a picture, or for the batch of one.
PICTURES = words("""
AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling2D
AdaptiveMaxPooling3D AutoContrast AveragePooling2D AveragePooling3D CenterCrop
ContrastLimitedAdaptiveHistogramEqualization Conv2D Conv2DTranspose Conv3D
Conv3DTranspose Cropping2D Cropping3D DepthwiseConv2D Equalization
GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling2D GlobalMaxPooling3D
MaxNumBoundingBoxes MaxPooling2D MaxPooling3D RandomCrop Resizing SeparableConv2D
Solarization UpSampling2D UpSampling3D ZeroPadding2D ZeroPadding3D
""")

WINDOW = "Or serve the model on its last N events with --window N."
RECURRENT = f"Use a recurrent layer. {WINDOW}"
CAUSAL = f'Use a Conv1D with padding="causal". {WINDOW}'
ATTENDS = ("looks at all timesteps at once", RECURRENT)
STRETCHES = ("reaches for other timesteps", CAUSAL)
ROWS = "takes the timesteps for the rows of a picture"
BATCH = (
    "takes the sequences of a batch for the rows of one picture",
    "Give it pictures with an axis of channels, inside TimeDistributed.",
)
SPACE = ("has a memory with an extent in space", f"Use an LSTM. {WINDOW}")

# Reasons that have nothing to do with events to come.
OUTSIDE_TIME = (SPACE[0], ROWS, BATCH[0], "splits text")

# Cannot stream: what it does that a stream cannot, and the way out.
REFUSED: dict[str, tuple[str, str]] = {
    "Bidirectional": (
        "reads the sequence backwards too",
        f"Use its forward layer alone. {WINDOW}",
    ),
    "Attention": ATTENDS,
    "AdditiveAttention": ATTENDS,
    "MultiHeadAttention": ATTENDS,
    "GroupQueryAttention": ATTENDS,
    "GroupedQueryAttention": ATTENDS,
    "GroupNormalization": (
        "takes mean and variance over all timesteps",
        f"Use LayerNormalization. {WINDOW}",
    ),
    "AdaptiveAveragePooling1D": ("joins neighbouring timesteps", CAUSAL),
    "AdaptiveMaxPooling1D": ("joins neighbouring timesteps", CAUSAL),
    "AveragePooling1D": ("joins neighbouring timesteps", CAUSAL),
    "MaxPooling1D": ("joins neighbouring timesteps", CAUSAL),
    "UpSampling1D": ("makes more timesteps than came", f"Leave it out. {WINDOW}"),
    "ZeroPadding1D": ("adds timesteps", CAUSAL),
    "Cropping1D": ("drops timesteps", f"Leave it out. {WINDOW}"),
    "SeparableConv1D": STRETCHES,
    "DepthwiseConv1D": STRETCHES,
    "Conv1DTranspose": STRETCHES,
    "ConvLSTM1D": SPACE,
    "ConvLSTM2D": SPACE,
    "ConvLSTM3D": SPACE,
    "MelSpectrogram": ("joins neighbouring timesteps", WINDOW),
    "STFTSpectrogram": ("joins neighbouring timesteps", WINDOW),
    "TextVectorization": ("splits text", "Put it before the model."),
    "Flatten": (
        "joins all timesteps",
        f"Use return_sequences=False in the recurrent layer before it. {WINDOW}",
    ),
    "Reshape": ("moves timesteps", f"Reshape inside TimeDistributed. {WINDOW}"),
    "Permute": ("moves timesteps", f"Leave the timesteps where they are. {WINDOW}"),
    "RepeatVector": (
        "repeats the last output over a new sequence",
        "Predict per timestep with return_sequences=True.",
    ),
    **{
        name: (
            ROWS,
            f"Use it inside TimeDistributed. {WINDOW}",
        )
        for name in PICTURES
    },
    # Operations of `keras.ops`.
    "Transpose": ("moves timesteps", f"Use x[..., k] or Dense. {WINDOW}"),
    "Swapaxes": ("moves timesteps", f"Use x[..., k] or Dense. {WINDOW}"),
    "Moveaxis": ("moves timesteps", f"Use x[..., k] or Dense. {WINDOW}"),
    "Ravel": ("joins all timesteps", WINDOW),
    "Roll": ("moves timesteps", WINDOW),
    "Flip": ("reads the sequence backwards", WINDOW),
}
