"""Slow, plain twins of the tracing modules: no batching, no compiled code, no shared pass over a tree."""

from itertools import combinations, product

import numpy as np


def weighted_mean(volume, position, step, bandwidth):
    """Kernel sum about one position (grid units) and the weighted mean, cell by cell in double precision."""
    total, mean = 0.0, np.zeros(3)
    reach = [round(2.0 * bandwidth / s) for s in step]
    centre = np.floor(np.asarray(position) + 0.5).astype(int)
    ranges = (range(max(0, c - r), min(n - 1, c + r) + 1) for c, r, n in zip(centre, reach, volume.shape))
    for cell in product(*ranges):
        r2 = sum(((a - b) * s) ** 2 for a, b, s in zip(cell, position, step))
        weight = np.exp(-1.5 * r2 / (bandwidth / 2.0) ** 2) * float(volume[cell])
        total += weight
        mean += weight * np.array(cell)
    return total, mean / total if total > 0 else np.array(position, float)


def shift_point(volume, seed, step, bandwidth, max_shift):
    """Mean shift of one seed: position in grid units, density."""
    here = np.array(seed, float)
    while True:
        density, there = weighted_mean(volume, here, step, bandwidth)
        stride, away = np.sum(((there - here) * step) ** 2), np.sum(((there - seed) * step) ** 2)
        here = there
        if stride < 0.001 or away > max_shift**2:
            return here, density


def merge(positions, density, distance):
    """The point that each point is merged into."""
    winner = list(range(len(positions)))
    for i in range(len(positions)):
        for j in range(i + 1, len(positions)):
            if winner[i] != i:
                break
            if winner[j] == j and np.linalg.norm(positions[i] - positions[j]) < distance:
                if density[j] > density[i]:
                    winner[i] = j
                else:
                    winner[j] = i
    for i in range(len(positions)):
        while winner[winner[i]] != winner[i]:
            winner[i] = winner[winner[i]]
    return winner


def touching_points(voxels, member):
    """Pairs of points with voxels that are 26-neighbours."""
    met = set()
    for (v, a), (w, b) in combinations(zip(voxels, member), 2):
        if a != b and a >= 0 and b >= 0 and np.abs(v - w).max() <= 1:
            met.add((min(a, b), max(a, b)))
    return sorted(met)


def spanning_edges(ends, length, vertices):
    """Kruskal's forest of the sub-graph on `vertices`: edge numbers."""
    part = {v: {v} for v in vertices}
    chosen = set()
    for e in np.argsort(length, kind="stable"):
        a, b = ends[e]
        if a in part and b in part and part[a] is not part[b]:
            joined = part[a] | part[b]
            part.update(dict.fromkeys(joined, joined))
            chosen.add(int(e))
    return chosen


def _neighbours(ends, edges):
    near = {}
    for e in edges:
        a, b = (int(v) for v in ends[e])
        near.setdefault(a, []).append((b, e))
        near.setdefault(b, []).append((a, e))
    return near


def _farthest(near, weight, covered):
    """The path of greatest weight that leaves the set `covered` (one tip in it): weight, vertices."""
    best = (0.0, [])
    stack = [(v, None, 0.0, [v]) for v in covered]
    while stack:
        v, came, reached, path = stack.pop()
        if reached > best[0]:
            best = (reached, path)
        stack += [(w, v, reached + weight[e], [*path, w]) for w, e in near[v] if w != came and w not in covered]
    return best


def heaviest_path(ends, weight, edges):
    """The heaviest path of a tree, found from every vertex: weight, vertices from the lower-numbered tip."""
    near = _neighbours(ends, edges)
    heaviest, path = max((_farthest(near, weight, [v]) for v in near), key=lambda found: found[0])
    return heaviest, path if path[0] <= path[-1] else path[::-1]


def worth(ends, weight, edges):
    """Σ L_k²: the heaviest path, then again and again the heaviest branch off what is covered."""
    near = _neighbours(ends, edges)
    branch, path = heaviest_path(ends, weight, edges)
    covered, score = set(path), branch**2
    while len(covered) < len(near):
        branch, path = _farthest(near, weight, covered)
        covered |= set(path)
        score += branch**2
    return score


def kendall_tau(path, other):
    """τ over every third vertex of `path` that `other` has too, pair by pair."""
    place = {v: k for k, v in enumerate(other)}
    shared = [place[v] for v in path[::3] if v in place]
    pairs = list(combinations(shared, 2))
    return sum(np.sign(b - a) for a, b in pairs) / len(pairs) if pairs else 0.0


class Splitmix64:
    """The random numbers of the search."""

    def __init__(self, state):
        self.state = state

    def draw(self, n):
        self.state = (self.state + 0x9E3779B97F4A7C15) % 2**64
        z = self.state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return (z ^ (z >> 31)) % n


def _half(ends, edges, vertex):
    """The vertices that the edges connect to `vertex`."""
    near, reached, waiting = _neighbours(ends, edges), {vertex}, [vertex]
    while waiting:
        for w, _ in near.get(waiting.pop(), []):
            if w not in reached:
                reached.add(w)
                waiting.append(w)
    return reached


def search(ends, length, weight, first, fixed, longest, earlier, *, rounds, neighbours, tabu_length, random):
    """One trajectory of the tabu search: best edges, worth and path."""
    edges = sorted(first)
    path, score = heaviest_path(ends, weight, edges)[1], worth(ends, weight, edges)
    best, tabu = (edges, score, path), []
    for done in range(rounds):
        total = sum(length[e] for e in edges)
        loose, spare = [e for e in edges if e not in fixed], [e for e in range(len(length)) if e not in edges]
        chosen, admitted, rejected, clearings = None, 0, 0, 0
        while admitted < neighbours and loose:
            if rejected > len(length):
                clearings, rejected, tabu = clearings + 1, 0, []
                if clearings == 2:
                    break
            rejected += 1
            out = loose[random.draw(len(loose))]
            rest = [e for e in edges if e != out]
            half = _half(ends, rest, int(ends[out][0]))
            fitting = [e for e in spare if len(half & {*ends[e]}) == 1 and length[e] <= longest - total + length[out]]
            if not fitting:
                continue
            into = fitting[random.draw(len(fitting))]
            if any({*entry} == {out, into} for entry in tabu):
                continue
            swapped = [*rest, into]
            new_score, new_total = worth(ends, weight, swapped), total - length[out] + length[into]
            new_path = heaviest_path(ends, weight, swapped)[1]
            same_as = [np.isclose(new_score, s, rtol=1e-12, atol=0) for s in (score, chosen[0] if chosen else -1.0)]
            if (same_as[0] and new_total > total) or (same_as[1] and new_total >= chosen[1]):
                continue
            if out in first and all(v in new_path[1:-1] for v in ends[out]):
                continue
            if new_path != path and any(abs(kendall_tau(new_path, p)) > 0.95 for p in earlier):
                continue
            admitted, rejected = admitted + 1, rejected - 1
            if chosen is None or same_as[1] or new_score > chosen[0]:
                chosen = (new_score, new_total, sorted(swapped), new_path, (into, out))
        if chosen is None:
            break
        score, _, edges, path, entry = chosen
        if done == 0 or score > best[1]:  # the tree of the start is no candidate
            best, tabu = (edges, score, path), []
        tabu = [*tabu, entry][-tabu_length:]
        if clearings == 2:
            break
    return best
