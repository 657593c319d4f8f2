"""Whether a series of measurements grows.

A leak is growth that goes on. What a program fills once - caches, pools, pages that it touches for the
first time - is not, nor is what comes and goes. So only the second half of a series counts, and of it
the floor: the lowest value in each of five stretches, which a sawtooth, noise and a single step leave
where it is. It grows if each floor is above the one before; by how much, the first and last tell.
"""

STRETCHES = 5


def floors(points):
    """The lowest value in each stretch of the second half; none if there are too few points."""
    half = [value for _, value in points[len(points) // 2:]]
    length = len(half) // STRETCHES
    if length < 2:
        return []
    return [min(half[i * length:(i + 1) * length]) for i in range(STRETCHES)]


def growth(points):
    """How far the floor rose in the second half, 0 if it did not go on rising."""
    levels = floors(points)
    if not levels or any(after <= before for before, after in zip(levels, levels[1:])):
        return 0
    return levels[-1] - levels[0]


def grows(points, allowed):
    """Whether it did so by more than what is allowed."""
    return growth(points) > allowed
