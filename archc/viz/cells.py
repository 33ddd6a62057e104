"""Which cell of a grid each box and each long edge gets: a lane, a track in it, a column.

A lane is a row of the picture, and one more for what hangs below all rows; it has as many tracks as
it needs. Along a lane every box stands to the right of what it reads. A step down takes no column
where it can be drawn straight, nor does a step up that joins a value of its lane: so the scales of
a layer stand one below the other, as in figure 2 of MSDNet (Huang et al., 2018), and a U-Net has
its two arms.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from archc.viz.picture import Picture


@dataclass(eq=False, slots=True)
class Track:
    """A line of cells: by column, the box that stands there, or whose value passes."""

    lane: int
    cells: dict[int, int] = field(default_factory=dict)
    last: int | None = None
    """The box that was placed last."""

    def free(self, columns: Iterable[int], value: int) -> bool:
        """Whether nothing is there but, perhaps, the same value."""
        return all(self.cells.get(column, value) == value for column in columns)


@dataclass(eq=False, slots=True)
class Lane:
    """Tracks: for boxes, and above and below them for edges only, the nearest first."""

    above: list[Track] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    below: list[Track] = field(default_factory=list)

    def downwards(self) -> list[Track]:
        """All of them from top to bottom."""
        return [*reversed(self.above), *self.tracks, *self.below]


@dataclass(frozen=True, slots=True)
class Cells:
    """For each box its track and column; for each edge the track on which it passes the columns
    between its ends, None where there are none."""

    lanes: tuple[Lane, ...]
    tracks: tuple[Track, ...]
    columns: tuple[int, ...]
    ways: tuple[Track | None, ...]


def assign(picture: Picture) -> Cells:
    """The cells of a picture with rows."""
    boxes = _Boxes(picture)
    for box in range(len(picture.boxes)):
        boxes.place(box)
    ways = tuple(_way(boxes, edge.source, edge.target) for edge in picture.edges)
    return Cells(tuple(boxes.lanes), tuple(boxes.tracks), tuple(boxes.columns), ways)


class _Boxes:
    """Places boxes one after the other; what a box reads stands before it."""

    def __init__(self, picture: Picture) -> None:
        self.bottom = len(picture.rows)
        self.lane = [self.bottom if box.row is None else box.row for box in picture.boxes]
        self.lanes = [Lane() for _ in range(self.bottom + 1)]
        self.tracks: list[Track] = []
        self.columns: list[int] = []
        self.sources: list[list[int]] = [[] for _ in picture.boxes]
        self.readers: list[list[int]] = [[] for _ in picture.boxes]
        for edge in picture.edges:
            self.sources[edge.target].append(edge.source)
            self.readers[edge.source].append(edge.target)
        self.upright: dict[int, list[tuple[int, int]]] = {}
        """By column, the ends of the edges that lead straight down or up in it."""

    def place(self, box: int) -> None:
        """Give a box its track and column: the first where it can stand."""
        steps = (self.columns[source] + self._step(source, box) for source in self.sources[box])
        column = max(steps, default=0)
        while (track := self._track(box, column)) is None:
            column += 1
        track.cells[column] = track.last = box
        self.tracks.append(track)
        self.columns.append(column)
        over = [source for source in self.sources[box] if self.columns[source] == column]
        self.upright.setdefault(column, []).extend((source, box) for source in over)

    def _step(self, source: int, box: int) -> int:
        """The columns that a box wants from what it reads."""
        above, lane = self.lane[source], self.lane[box]
        if above < lane or above == self.bottom:
            return 0
        joins = above > lane and any(self.lane[other] == lane for other in self.sources[box])
        return 0 if joins else 1

    def _track(self, box: int, column: int) -> Track | None:
        """A track for a box in a column; None if it would stand in the way of an edge, or could not
        be reached straight."""
        lane = self.lane[box]
        over = [source for source in self.sources[box] if self.columns[source] == column]
        if len(over) > 1 or self._in_the_way(lane, column):
            return None
        if over and self.lane[over[0]] == lane:
            return self._next_track(over[0], column)
        if over and not self._sees(over[0], lane, column):
            return None
        return self._best_track(box, column)

    def _in_the_way(self, lane: int, column: int) -> bool:
        """Whether an upright edge passes a lane or ends there; in the last lane a track is chosen
        that it does not reach."""
        for source, target in self.upright.get(column, ()):
            first, last = sorted((self.lane[source], self.lane[target]))
            if first <= lane <= last and lane != self.bottom:
                return True
        return False

    def _sees(self, source: int, lane: int, column: int) -> bool:
        """Whether no box stands between one and the lane, or in it."""
        first = self.lane[source]
        own = self.lanes[first].tracks
        at = own.index(self.tracks[source])
        between = own[at + 1 :] if first < lane else own[:at]
        for i in range(first + 1, lane + 1) if first < lane else range(lane, first):
            between = between + self.lanes[i].tracks
        return not any(column in track.cells for track in between)

    def _next_track(self, source: int, column: int) -> Track | None:
        """The track below a box, for one that hangs on it."""
        tracks = self.lanes[self.bottom].tracks
        below = tracks.index(self.tracks[source]) + 1
        if below == len(tracks):
            tracks.append(Track(self.bottom))
        return None if column in tracks[below].cells else tracks[below]

    def _best_track(self, box: int, column: int) -> Track:
        """The track nearest to what the box reads; not one along which another value goes on."""
        lane = self.lane[box]
        tracks = self.lanes[lane].tracks
        read = [self.tracks[source] for source in self.sources[box] if self.lane[source] == lane]
        wanted = min((tracks.index(track) for track in read), default=0)
        passed = self._passed(lane, column)
        costs = {
            i: abs(i - wanted) + (2 if self._goes_on(track, box) else 0)
            for i, track in enumerate(tracks)
            if column not in track.cells and i >= passed
        }
        costs[len(tracks)] = abs(len(tracks) - wanted)
        best = min(costs, key=lambda i: (costs[i], i))
        if best == len(tracks):
            tracks.append(Track(lane))
        return tracks[best]

    def _passed(self, lane: int, column: int) -> int:
        """How many tracks of the last lane an edge passes that comes straight down."""
        if lane != self.bottom:
            return 0
        tracks = self.lanes[lane].tracks
        ends = self.upright.get(column, ())
        return max(
            (tracks.index(self.tracks[t]) for _, t in ends if self.lane[t] == lane), default=0
        )

    def _goes_on(self, track: Track, box: int) -> bool:
        """Whether a later box of the lane reads the track's last one, and this one does not."""
        last = track.last
        if track.lane == self.bottom or last is None or last in self.sources[box]:
            return False
        return any(
            reader > box and self.lane[reader] == track.lane for reader in self.readers[last]
        )


def _way(boxes: _Boxes, source: int, target: int) -> Track | None:
    """A track for an edge through the columns between its ends: straight on where nothing stands,
    else one for edges only."""
    columns = range(boxes.columns[source] + 1, boxes.columns[target])
    if not columns:
        return None
    first, last = boxes.lanes[boxes.lane[source]], boxes.lanes[boxes.lane[target]]
    down = boxes.lane[source] < boxes.lane[target]
    beside = first.below if down else first.above
    known = [boxes.tracks[source], boxes.tracks[target], *beside]
    if first is not last:
        known += last.above if down else last.below
    track = next((track for track in known if track.free(columns, source)), None)
    if track is None:
        track = Track(boxes.lane[source])
        beside.append(track)
    track.cells.update(dict.fromkeys(columns, source))
    return track
