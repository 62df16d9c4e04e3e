"""`Recipe`: all that makes up one paper's system, as data, and the trainer that it builds."""

import dataclasses
import json
from collections.abc import Mapping

from deblur_keras.recipes import checks
from deblur_keras.recipes.parts import OF_ONE_SIZE, Part

PAPER, CODE, CHOSEN, GIVEN = "paper", "code", "chosen here", "set by you"


@dataclasses.dataclass(frozen=True)
class Source:
    """Holds where a field's value comes from.

    Attributes:
        kind: ``"paper"`` (it says so), ``"code"`` (its authors' code does), ``"chosen here"`` (both
            leave it open or disagree), or ``"set by you"``.
        text: The place, or the reason.
    """

    kind: str
    text: str


@dataclasses.dataclass(frozen=True)
class Reported:
    """Holds a result that a paper reports; a figure it does not give is None.

    Attributes:
        data: What was scored.
        psnr: In dB.
        ssim: Of whichever kind; see ``note``.
        mse: In squared grey levels.
        note: The place in the paper, and what there is to know about the figure.
    """

    data: str
    psnr: float | None = None
    ssim: float | None = None
    mse: float | None = None
    note: str = ""

    def __str__(self):
        """Shows the figures in one line."""
        figures = [
            f"{self.psnr:g} dB" if self.psnr is not None else "",
            f"SSIM {self.ssim:g}" if self.ssim is not None else "",
            f"MSE {self.mse:g}" if self.mse is not None else "",
        ]
        return f"{self.data}: {', '.join(filter(None, figures))}"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Holds one system: its networks, losses, optimizers, schedule and data, each with its source.

    A field that the trainer of a recipe does not know is None: a CycleGAN has no content loss, a
    DeblurGAN no image pool. `settable` names the others, which `override` changes.

    Attributes:
        name: Name of the recipe.
        authors: Authors of the paper, and its year where it is known.
        title: Title of the paper.
        trainer: ``"DeblurGAN"`` (pairs) or ``"CycleGAN"`` (photographs without partners).
        generator: Network that restores; of a CycleGAN also the one that blurs.
        critic: Network that scores or classifies.
        generator_parameters: Parameters of one generator; None once it is another.
        critic_parameters: Parameters of one critic; None once it is another.
        adversarial: Adversarial objective.
        adversarial_weight: Factor of the generator's adversarial loss.
        content: Content loss, sharp against restored.
        content_weight: Factor of the content loss.
        total_variation: Factor of the restored image's total variation within the content loss.
        critic_steps: Critic updates before each generator update.
        cycle_weight: Factor of the cycle loss.
        identity_weight: Factor of the identity loss.
        pool_size: Earlier images that each critic is shown again.
        init: Standard deviation of all first kernels, or ``"own"``: as each network is built.
        learning_rate: Of both Adam optimizers, at the beginning.
        beta_1: Decay of Adam's first moment.
        beta_2: Decay of Adam's second moment.
        epsilon: Adam's epsilon.
        epochs: Passes over the data.
        constant_share: Share of the epochs before the learning rate falls linearly to zero.
        warmup_epochs: Epochs at the beginning in which the generator learns by the content loss
            alone, and the critic rests.
        precision: What the networks compute in, one of `checks.PRECISIONS`.
        accumulate: Parts of a batch that are worked on one after the other, to save memory.
        ema: Decay of a moving average of the generator's weights, which is then what is kept; 0 for
            none.
        clip_norm: Largest norm of a network's gradient; 0 for any.
        batch: Crops an update.
        crop: Side of the crops in pixels.
        scale: Factor by which real photographs are reduced first.
        crops_per_image: Crops of each photograph that is decoded, as `datasets.paired` makes them.
        synthetic_to_real: Synthetic and real crops, where both kinds of data are given.
        max_length: Length of the path of synthetic blur in pixels, a number or ``(low, high)``, as
            `datasets.synthetic` takes it; so are all below.
        intensity: How crooked the path is, 0 to 1, a number or ``(low, high)``, or "script".
        late: How much after the middle of the blurred side the sharp one is, as a part of the
            exposure, a number or ``(low, high)``, as the next two.
        frames: Frames that the blurred side is the mean of.
        duty: Part of each frame's time in which the shutter is open.
        paths: "shake" or "smooth".
        objects: Share of the crops in which something moves by itself.
        defocus: Share of the crops that are partly out of focus, on both sides.
        rotation: Degrees that the camera rolls.
        grid: Kernels along each side of a photograph.
        highlights: How bright white was, a number or ``(low, high)``, as all below.
        shot_noise: Noise in white.
        read_noise: Noise in black.
        jpeg: Quality of a JPEG; 0 for none.
        data: What the paper trained on.
        reported: What the paper reports, a tuple of `Reported`.
        notes: Where the paper contradicts itself, its figures or its code, a tuple of texts.
        sources: `Source` of each field, by its name; of an option of a part by ``"part.option"``.

    Example:
        >>> from deblur_keras import recipes
        >>> recipe = recipes.get("deblurgan").override({"batch": 4, "generator": {"blocks": 6}})
        >>> recipe.batch, recipe.generator.options["blocks"]
        (4, 6)
        >>> recipe.sources["batch"].kind
        'set by you'
    """

    name: str
    authors: str
    title: str
    trainer: str
    generator: Part
    critic: Part
    generator_parameters: int | None
    critic_parameters: int | None
    adversarial: Part
    adversarial_weight: float
    init: float | str
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    epochs: int
    constant_share: float
    batch: int
    crop: int
    scale: float
    crops_per_image: int
    data: str
    reported: tuple
    notes: tuple
    precision: str
    ema: float
    clip_norm: float
    content: Part | None = None
    content_weight: float | None = None
    total_variation: float | None = None
    critic_steps: int | None = None
    warmup_epochs: int | None = None
    accumulate: int | None = None
    cycle_weight: float | None = None
    identity_weight: float | None = None
    pool_size: int | None = None
    synthetic_to_real: tuple | None = None
    max_length: float | tuple | None = None
    intensity: float | tuple | str | None = None
    late: float | tuple | None = None
    frames: int | tuple | None = None
    duty: float | tuple | None = None
    paths: str | None = None
    objects: float | None = None
    defocus: float | None = None
    rotation: float | None = None
    grid: int | None = None
    highlights: float | tuple | None = None
    shot_noise: float | tuple | None = None
    read_noise: float | tuple | None = None
    jpeg: int | tuple | None = None
    sources: Mapping = dataclasses.field(default_factory=dict)

    def settable(self):
        """Returns the names of the fields that can be overridden, in the order of `Recipe`."""
        return [name for name in _SETTABLE if getattr(self, name) is not None]

    def values(self):
        """Returns the settable fields as plain values: numbers, texts, lists and dicts of these.

        It is what `override` takes, what a run's ``config.json`` keeps, and what `to_toml` writes.
        """
        return {name: _plain(getattr(self, name)) for name in self.settable()}

    def override(self, changes):
        """Makes a recipe with some fields changed.

        Args:
            changes: New values by name; of a part a dict of its options, of which ``"kind"`` may be
                one, or the name of another kind. A change of kind starts from that kind's defaults.

        Returns:
            A `Recipe`, whose ``sources`` say which fields were set.

        Raises:
            RecipeError: If a field or an option is unknown (with the valid ones) or out of range,
                or if two exclude each other.
        """
        fields, sources = {}, dict(self.sources)
        for name, value in changes.items():
            if name in _NOT_OF_CYCLEGAN and getattr(self, name) is None:
                raise checks.RecipeError(
                    f"The recipe {self.name!r} has no {name}: {_NOT_OF_CYCLEGAN[name]}."
                )
            checks.check_known(name, self.settable(), f"field of the recipe {self.name!r}")
            before = getattr(self, name)
            if isinstance(before, Part):
                fields[name] = before.override(value)
                sources = _mark_part(sources, name, before, fields[name])
            else:
                fields[name] = checks.checked(name, value)
                if fields[name] != before:
                    sources[name] = Source(GIVEN, f"was {before!r}")
        settled = self._settled(fields, sources)
        settled._check_schedule()
        if settled.rotation and settled.grid > 1:
            raise checks.RecipeError(
                f"rotation and grid exclude each other: set rotation = 0 or grid = 1; received "
                f"{settled.rotation:g} and {settled.grid}."
            )
        return settled

    def _check_schedule(self):
        """Raises RecipeError if there would be nothing in a part of a batch, or to learn."""
        if self.accumulate and self.accumulate > self.batch:
            raise checks.RecipeError(
                f"accumulate divides a batch into parts, so that it is at most batch; received "
                f"accumulate = {self.accumulate} and batch = {self.batch}."
            )
        if self.content_weight == 0 and self.adversarial_weight == 0:
            raise checks.RecipeError(
                "content_weight and adversarial_weight are both 0, so that there is nothing to "
                "learn; set one of them above 0."
            )
        if not self.warmup_epochs:
            return
        if not self.content_weight:
            raise checks.RecipeError(
                "warmup_epochs train by the content loss alone; received content_weight = 0."
            )
        if self.warmup_epochs >= self.epochs and self.adversarial_weight:
            raise checks.RecipeError(
                f"warmup_epochs come before the critic's, so that they are fewer than epochs; "
                f"received warmup_epochs = {self.warmup_epochs} and epochs = {self.epochs}. Set "
                "adversarial_weight = 0 for content losses alone."
            )

    def _settled(self, fields, sources):
        """Makes the recipe with these fields, and brings along what follows from them."""
        changed = {name for name, value in fields.items() if value != getattr(self, name)}
        for network in {"generator", "critic"} & changed:
            another = fields[network].kind != getattr(self, network).kind
            if another and "init" not in fields and sources["init"].kind != GIVEN:
                # A deviation that suits one network need not suit another.
                fields["init"] = "own"
                sources["init"] = Source(CHOSEN, f"as the {fields[network].kind} network is built")
        critic = fields.get("critic", self.critic)
        stale = {"generator", "critic"} & changed
        stale |= {"critic"} if "crop" in changed and critic.kind in OF_ONE_SIZE else set()
        for network in stale:
            fields[f"{network}_parameters"] = None
            sources.pop(f"{network}_parameters", None)
        return dataclasses.replace(self, **fields, sources=sources)

    def rows(self):
        """Lists every field with its value and source, for people to read.

        Returns:
            List of ``(name, value, source)``: a part by its kind, then its options as
            ``"part.option"``; at the end the counts of parameters.
        """
        values = {name.removesuffix(".kind"): v for name, v in flat(self.values()).items()}
        for network in ("generator", "critic"):
            count = getattr(self, f"{network}_parameters")
            if count is not None:
                values[f"{network}_parameters"] = f"{count:,}"
        return [(name, value, self.sources[name]) for name, value in values.items()]

    def to_toml(self):
        """Writes the settable fields as TOML, to be edited and given to ``train --config``.

        Returns:
            Text; each value has its source behind it as a comment.
        """

        def line(name, value, source):
            return f"{name} = {json.dumps(value)}  # {source.kind}: {source.text}"

        lines, tables = [], []
        for name, value in self.values().items():
            if not isinstance(value, dict):
                lines.append(line(name, value, self.sources[name]))
                continue
            tables += ["", f"[{name}]", line("kind", value.pop("kind"), self.sources[name])]
            tables += [line(k, v, self.sources[f"{name}.{k}"]) for k, v in value.items()]
        return "\n".join([*lines, *tables]) + "\n"

    def build(self, seed=0, vgg="imagenet", start=None):
        """Builds the networks and compiles the trainer.

        Args:
            seed: Seed of what the trainer draws. The first weights follow
                ``keras.utils.set_random_seed``.
            vgg: Weights of a perceptual loss, as `PerceptualLoss` takes them: ``"imagenet"``, a
                file, or None for random ones.
            start: ``keras.Model`` whose weights the generator begins with, as
                `generators.begin_with` takes them; None for random ones. Of a CycleGAN, the one
                that deblurs.

        Returns:
            A compiled `trainers.DeblurGAN` or `trainers.CycleGAN`.

        Raises:
            ValueError: If an option is out of range, or parts or ``start`` do not fit together.
            RuntimeError: If VGG weights are neither cached nor to be had.

        Example:
            >>> from deblur_keras import recipes
            >>> small = {"generator": {"filters": 4, "blocks": 1}, "content": "mse"}
            >>> trainer = recipes.get("deblurgan").override(small).build()
            >>> trainer.generator.name
            'resnet_generator'
        """
        from deblur_keras.recipes import building

        return building.build(self, seed, vgg, start)

    def objective(self):
        """Names the adversarial objective and the loss beside it: ``"wgan-gp + perceptual"``."""
        return f"{self.adversarial.kind} + {self.content.kind if self.content else 'cycle'}"

    def blur(self):
        """Returns how photographs are blurred at random, as `datasets.synthetic` takes it."""
        chosen = {name: getattr(self, name) for name in checks.BLUR}
        intensity = None if self.intensity == "script" else self.intensity
        return {**chosen, "intensity": intensity, "jpeg": self.jpeg or None}

    def constant_epochs(self):
        """Returns the number of epochs before the learning rate falls."""
        return round(self.epochs * self.constant_share)


def flat(values):
    """Returns nested values by dotted names, such as ``"generator.filters"``.

    Args:
        values: As from `Recipe.values`.

    Example:
        >>> flat({"batch": 1, "generator": {"kind": "resnet"}})
        {'batch': 1, 'generator.kind': 'resnet'}
    """
    result = {}
    for name, value in values.items():
        if isinstance(value, dict):
            result.update((f"{name}.{inner}", entry) for inner, entry in value.items())
        else:
            result[name] = value
    return result


_NOT_OF_CYCLEGAN = {
    "warmup_epochs": "without pairs there is no content loss to warm up by",
    "accumulate": "its image pools are filled by one batch after the other; set batch = 1, which "
    "needs the least memory, or a smaller crop",
    **dict.fromkeys(checks.BLUR, "it learns from photographs that are blurred already"),
}
_SETTABLE = ("generator", "critic", "adversarial", "content", *checks.FIELDS)


def _plain(value):
    if isinstance(value, Part):
        return {"kind": value.kind, **{k: _plain(v) for k, v in value.options.items()}}
    return list(value) if isinstance(value, tuple) else value


def _mark_part(sources, name, before, after):
    """Says of a changed part which options were set, and forgets what no longer exists."""
    if after.kind != before.kind:
        sources = {k: v for k, v in sources.items() if not k.startswith(f"{name}.")}
        sources[name] = Source(GIVEN, f"was {before.kind}")
        default = before.override(after.kind).options
        own = Source(CHOSEN, f"the default of {after.kind}")
        sources |= {f"{name}.{option}": own for option in after.options}
        before = dataclasses.replace(after, options=default)
    for option, value in after.options.items():
        if value != before.options[option]:
            sources[f"{name}.{option}"] = Source(GIVEN, f"was {before.options[option]!r}")
    return sources
