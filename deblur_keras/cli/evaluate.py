"""``deblur-keras evaluate``: scores a model on pairs of blurred and sharp photographs."""

from pathlib import Path

import click

from deblur_keras.cli import detection
from deblur_keras.cli.engines import engine_options
from deblur_keras.cli.pairs import DETECTION, chosen, given, pair_options, tell_failures
from deblur_keras.cli.quality import MeanOfSamples, quality_options


@click.command()
@click.argument("models", metavar="MODEL", nargs=-1, required=True)
@pair_options
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for scores.csv (a line per image, written as it goes) and summary.json.",
)
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the same files and report.html: tables, plots, the best and the worst images.",
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run in the same folder.")
@click.option("--overwrite", is_flag=True, help="Replace the scores of an earlier run there.")
@click.option("--save-images", is_flag=True, help="Write restored/<name>.png there too.")
@quality_options
@click.option(
    "--restore-with-dropout",
    is_flag=True,
    help="Keep the model's dropout active, as some of the papers do.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of --restore-with-dropout.",
)
@engine_options
@detection.detection_options
@click.option("--compare", is_flag=True, help="Compare two models, as deblur-keras compare does.")
@click.pass_context
def evaluate(
    context,
    models,
    output,
    report,
    resume,
    overwrite,
    save_images,
    ensemble,
    strength,
    samples,
    restore_with_dropout,
    seed,
    engine,
    precision,
    compare,
    **options,
):
    """Score MODEL on pairs of blurred and sharp photographs, by a stated protocol.

    MODEL is the name of weights that ship, such as "default", or a .keras file. The figures are
    printed for the blurred input and for the restored image, with the protocol and what was
    published under it: figures from other protocols do not compare.

    \b
    Protocols:
      gopro      PSNR, SSIM and MSE of whole uint8 images; --halved at half size
      kohler     PSNR and MS-SSIM, best over the 199 frames of each shot
      realblur   PSNR and SSIM after registration
      paper-000  SSIM and MSE of 216 images
      paper-004  highest, lowest and mean PSNR, SSIM and seconds
      unpaired   NIQE, for photographs without a sharp partner
      detection  precision, recall, F1 and mAP of an object detector's boxes

    Ends with exit code 1 if any pair could not be scored.

    \b
    Examples:
      deblur-keras evaluate default --data GOPRO_Large --report report
      deblur-keras evaluate default --data gopro/large --halved -o scores
      deblur-keras evaluate default --data kohler -o scores --resume
      deblur-keras evaluate default --data pairs --protocol detection \\
          --detector yolov8n.onnx --labels coco.names -o detections
      deblur-keras evaluate --compare default runs/mine/generator.keras --data pairs
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    judging = detection.taken(options)
    if compare:
        from deblur_keras.cli.compare import run

        wrong = given(
            context,
            *("save_images", "resume", "restore_with_dropout", "seed", "engine", "precision"),
            *("ensemble", "strength", "samples"),
            *judging,
        )
        if wrong:
            raise click.UsageError(f"{wrong[0]} is of one model; it does not go with --compare.")
        if len(models) != 2:
            raise click.UsageError(f"--compare takes two models; got {len(models)}.")
        run(*models, output=output, report=report, overwrite=overwrite, **options)
        return
    if len(models) != 1:
        raise click.UsageError(f"Give one model, or two with --compare; got {len(models)}.")
    (model,) = models
    output = _checked_output(output, report, save_images, resume, overwrite)
    by_detector = options["protocol"] == DETECTION
    if not by_detector:
        detection.refuse(context)
    restore_with_dropout = restore_with_dropout or samples is not None
    if not restore_with_dropout and given(context, "seed"):
        raise click.UsageError("--seed is that of --restore-with-dropout: add that.")

    from deblur_keras.cli import console

    console.import_tensorflow()
    from deblur_keras import evaluation
    from deblur_keras.engines import EngineError
    from deblur_keras.evaluation.detection import evaluate_detection
    from deblur_keras.restorer import ModelError, Restorer

    try:
        what = chosen(**options, output=output)
        blending = {"ensemble": ensemble, "strength": strength}
        running = {"engine": engine, "precision": precision}
        seed = seed if restore_with_dropout else None
        restorer = Restorer(model, restore_with_dropout, seed, **running, **blending)
        running = {name: getattr(restorer, name) for name in running}
        restorer = restorer if samples is None else MeanOfSamples(restorer, samples)
        how = {
            "facts": {
                **what.facts,
                **evaluation.model_facts(model),
                **blending,
                "restore_with_dropout": restore_with_dropout,
                "dropout_samples": samples,
                "seed": seed,
                **running,
                "command": console.command_line(),
            },
            "output": output,
            "save_images": save_images,
            "scale": what.scale,
            "resume": resume,
        }
        if by_detector:
            judge = detection.make_judge(judging, what.scale)
            with console.progress("Judging", total=len(what.pairs)) as progress:
                result = evaluate_detection(restorer, what.pairs, judge, progress=progress, **how)
        else:
            with console.progress("Scoring", total=len(what.pairs)) as progress:
                result = evaluation.evaluate_pairs(
                    restorer, what.pairs, progress=progress, protocol=what.protocol, **how
                )
        table = result.table() if result.rows else None
        summary = [*result.lines(), *result.published_lines()]
        console.show_scores(result.protocol_lines(), table, summary)
        if output is not None and result.rows and by_detector:
            result.write_sheet(output, restorer, what.pairs)
        if report is not None:
            page = _report(result, restorer, what.pairs, report, save_images, by_detector)
            click.echo(console.printable(f"report: {page}"))
        elif output is not None:
            click.echo(console.printable(f"written to {output}"))
    except KeyboardInterrupt:
        hint = "" if output is None else "; the same command with --resume continues"
        raise console.fail(f"Interrupted{hint}.") from None
    # DatasetError, ImageError, JournalError and DetectionError are ValueErrors
    except (ModelError, EngineError, ImportError, OSError, ValueError) as error:
        raise console.fail(error) from error
    tell_failures(result.failures, len(what.pairs))


def _checked_output(output, report, save_images, resume, overwrite):
    """Returns the folder to write to, or None."""
    from deblur_keras.cli import console

    if report is not None and output is not None and report.resolve() != output.resolve():
        raise click.UsageError("--report DIR writes all that -o does: give one of them.")
    output = report or output
    if resume and overwrite:
        raise click.UsageError("--resume keeps what --overwrite replaces: give one of them.")
    if output is None and (save_images or resume):
        option = "--save-images" if save_images else "--resume"
        raise click.UsageError(f"{option} needs an output folder: add -o OUTPUT.")
    if output is not None and not (overwrite or resume):
        for name in ("scores.csv", "detections.csv", "summary.json"):
            if (output / name).exists():
                raise console.fail(
                    f"{output / name} exists already; choose another folder, or add --resume to "
                    "continue an interrupted run, or --overwrite."
                )
    return output


def _report(result, restorer, pairs, directory, save_images, by_detector):
    """Writes the page, and returns its path."""
    from deblur_keras.cli import console
    from deblur_keras.evaluation.examples import MOST
    from deblur_keras.evaluation.report import write_detection_report, write_report

    if by_detector:
        return write_detection_report(result, directory)
    saved = directory / "restored" if save_images else None
    with console.progress("Report", total=min(2 * MOST, len(result.rows))) as progress:
        return write_report(result, restorer, pairs, directory, saved, progress)
