"""Stacked denoising autoencoders on MNIST, then the whole net: Vincent et al. 2010, table 3.

    resjax train --config configs/denoising_mnist.py --workdir runs/sdae           a quarter is masked
    resjax train --config configs/denoising_mnist.py:0 --workdir runs/sae          nothing is: autoencoders
    resjax train --config configs/denoising_mnist.py:none --workdir runs/scratch   no pretraining

Published test error, three hidden layers: 1.28 % with 25 % masked (SDAE-3), 1.40 without noise (SAE-3); 1.24
for a deep belief net, 1.40 for a support vector machine. No number without pretraining was found. The masked
share was chosen among 0, 10, 25 and 40 %.

The paper's: three hidden layers; masking noise on the input of what is trained, which is an encoder, and a
decoder that gives the clean input back; then all of it by the labels.

Not possible here, and so different from the paper, which has sigmoid units, decoders with the encoder's
weights transposed, and one autoencoder for each layer:

- Units are ReLU, decoders linear with weights of their own, and the loss is the mean squared error.
- The net comes in one layer and then units of two, so two autoencoders are stacked: of the first layer, and
  of the second and third together.
- Nothing is selected on held-out images: the paper's width, rates and lengths were; here they are chosen.

Chosen: 1,000 units a layer, batches of 100, momentum 0.9, no weight decay, cosines; 10 epochs for each
autoencoder, 30 for the whole net, with pretraining or without.

Run at full length here: experiments/vincent2010.py, whose page has the numbers.
"""

from ml_collections import ConfigDict

PARTS = ("stem", "block1")  # one hidden layer, and two


def get_config(masked: str = "25") -> ConfigDict:
    if masked != "none" and not (masked.isdigit() and int(masked) < 100):
        raise ValueError(f"the masked share is '{masked}'; it must be a whole percentage below 100, or none")
    config = ConfigDict()
    config.data = dict(name="tfds:mnist")
    config.input = dict(normalize="unit")
    config.model = dict(
        name="residual_mlp", depth=4, width=1000, skip=False, norm="none", init="he_fan_in"
    )  # fmt: skip
    config.optim = dict(name="sgd", momentum=0.9)
    if masked != "none":
        config.phases = tuple(autoencoder(number, masked) for number in range(len(PARTS)))
    config.schedule = dict(name="cosine", length=30, learning_rate=0.05)
    config.train = dict(batch_size=100, steps_per_dispatch=20)
    return config


def autoencoder(number: int, masked: str) -> dict:
    part = PARTS[number]
    decoder = dict(name="decoder", endpoint=part, form="flattened_linear", weight=1.0)
    return dict(
        name=f"masked{masked}_{part}",
        after=PARTS[number - 1] if number else "",
        until=part,
        noise=int(masked) / 100,
        heads=(decoder | dict(target="input", loss="squared_error"),),
        schedule=dict(name="cosine", length=10, learning_rate=0.5),
    )
