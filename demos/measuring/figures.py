"""A measurement in words: from the JSON of shmframe-latency --marks."""

MS = 1e6


def text_ms(value_ns, digits=1):
    return f"{value_ns / MS:.{digits}f}"


def line(title, hop):
    if not hop["count"]:
        return f"  {title:<34}{0:>7}" + 4 * f"{'-':>10}"
    values = "".join(f"{text_ms(hop[key]):>10}" for key in
                     ("p50_ns", "p90_ns", "p99_ns", "max_ns"))
    return f"  {title:<34}{hop['count']:>7}{values}"


def head(title):
    return f"  {title:<34}{'count':>7}" + "".join(f"{name:>10}" for name in
                                                  ("p50", "p90", "p99", "max")) + "   ms"


def counted(number, one, several=None):
    return f"{number} {one if number == 1 else several or one + 's'}"


def frames_text(marks):
    """What became of the frames of the source."""
    sent = marks["frames"] + marks["lost"]
    text = (f"  frames: {marks['frames']} of {sent} seen, {marks['lost']} not, {marks['out_of_order']} out of order, "
            f"{marks['torn']} torn")
    if marks["lost_unseen"] and marks["lost"]:
        text += (f"\n    of those not seen, {min(marks['lost_unseen'], marks['lost'])} may have been in pictures that the "
                 "capture missed")
    if marks["without"]:
        text += f"\n    {counted(marks['without'], 'picture')} without a mark that could be read"
    return text


def capture_text(marks):
    """A warning that what was not seen may have been shown, or None."""
    missed, sent = min(marks["lost_unseen"], marks["lost"]), marks["frames"] + marks["lost"]
    if missed <= DROPPED_SHARE * sent:
        return None
    return ("  THE MACHINE WAS TOO BUSY: the capture missed pictures. What it did not see is not the fault of what is measured;"
            "\n    end what else runs, or make --size, --rate or --capture-rate smaller")


# Of the frames of the source: what a machine with time to spare does not drop.
DROPPED_SHARE = 0.01


def busy_text(frames, dropped, marks):
    """A warning, or None."""
    if dropped <= DROPPED_SHARE * (frames + dropped):
        return capture_text(marks)
    return (f"  THE MACHINE WAS TOO BUSY: the source came too late for {dropped} of its {frames + dropped} frames. "
            "These figures\n    are the machine's; end what else runs, or make --size, --rate or --capture-rate smaller")


def skew_text(sound):
    skew, bound = sound["hops"]["skew"], sound["bursts"]["bound"]
    if not skew["count"]:
        return "  skew: no burst of the sound was heard together with its flash"
    value = skew["p50_ns"]
    spread = ", ".join(f"{name} {text_ms(skew[key])}" for name, key in
                       (("least", "min_ns"), ("p10", "p10_ns"), ("p90", "p90_ns"), ("most", "max_ns")))
    who = "the picture comes first" if value < 0 else "the sound comes first"
    return (f"  skew: {text_ms(abs(value))} ms at p50, {who}; known to +-{text_ms(bound['p50_ns'])} ms "
            f"beside what the recording adds\n    {spread}; below 0 the picture comes first")


def scale_text(scale):
    """Of the picture on the screen; None: as it was made, or not known."""
    if scale is None or abs(scale - 1) < 0.01:
        return None
    return f"  the picture is shown at {100 * scale:.0f} % of its size: scaling it is in these figures"


def median(values):
    """Of an even number the lower one: a figure that was measured."""
    return sorted(values)[(len(values) - 1) // 2]


# What is told of each start: title, of what, which hop, what of it.
START_FIGURES = {
    # From a source
    True: (("seen p50", "picture", "seen", "p50_ns"), ("p90", "picture", "seen", "p90_ns"),
           ("p99", "picture", "seen", "p99_ns"), ("max", "picture", "seen", "max_ns"),
           ("heard p50", "sound", "heard", "p50_ns"), ("skew p50", "sound", "skew", "p50_ns")),
    # From a file, which has no latency
    False: (("shown p50", "picture", "shown_for", "p50_ns"), ("p99", "picture", "shown_for", "p99_ns"),
            ("max", "picture", "shown_for", "max_ns"), ("skew p50", "sound", "skew", "p50_ns")),
}


def start_figures(run):
    """By title; None: not measured."""
    return {title: run[where]["hops"][hop][key] if run[where] and run[where]["hops"][hop]["count"] else None
            for title, where, hop, key in START_FIGURES[run["is_live"]]}


def medians(runs):
    """Of each figure over the starts that have it; None: none has."""
    found = [start_figures(run) for run in runs]
    columns = {title: [one[title] for one in found if one[title] is not None] for title in found[0]}
    return {title: median(values) if values else None for title, values in columns.items()}


def starts_table(runs):
    def row(name, values):
        return f"  {name:<8}" + "".join(f"{'-' if value is None else text_ms(value):>11}" for value in values)
    lines = [f"  {'start':<8}" + "".join(f"{title:>11}" for title in start_figures(runs[0])) + "   ms"]
    lines += [row(number, start_figures(run).values()) for number, run in enumerate(runs, 1)]
    return "\n".join([*lines, row("median", medians(runs).values())])


def table(picture, sound, warnings, has_latency=True):
    """The lines of the table. `has_latency`: the frames came from their source, not from a file."""
    hops = picture["hops"]
    lines = [head("")]
    if has_latency:
        lines.append(line("picture: input to pixel", hops["seen"]))
    lines.append(line("picture: shown for", hops["shown_for"]))
    if sound:
        if has_latency:
            lines.append(line("sound: input to sound", sound["hops"]["heard"]))
        lines.append(line("skew: picture - sound", sound["hops"]["skew"]))
    lines.append(frames_text(picture["marks"]))
    if sound:
        lines.append(skew_text(sound))
    lines += [warning for warning in warnings if warning]
    return "\n".join(lines)
