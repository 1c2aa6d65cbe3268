"""Slow geometry of models: clashes by a loop over pairs with a breadth-first search over bonds, torsions by planes."""

from collections import deque

import numpy as np


def torsion(a, b, c, d) -> float:
    """Angle in degrees between the planes a b c and b c d, with the sign of the triple product."""
    one, two = np.cross(b - a, c - b), np.cross(c - b, d - c)
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    sign = np.sign(one @ (d - c))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))) * (sign or 1.0))


def bonds_between(bonds, start: int, most: int) -> dict[int, int]:
    """Atoms that at most `most` bonds lead to, and how many do."""
    found, queue = {start: 0}, deque([start])
    while queue:
        atom = queue.popleft()
        if found[atom] == most:
            continue
        for other in bonds[atom]:
            if other not in found:
                found[other] = found[atom] + 1
                queue.append(other)
    return found


def count_clashes(positions, radii, hydrogen, donor_hydrogen, acceptor, bonds) -> int:
    """Pairs that overlap by 0.4 Å, more than three bonds apart (four with a hydrogen), hydrogen bonds left out."""
    total = 0
    for i in range(len(positions)):
        near = bonds_between(bonds, i, 4)
        for j in range(i + 1, len(positions)):
            apart = near.get(j, 99)
            if apart <= (4 if hydrogen[i] or hydrogen[j] else 3):
                continue
            bonded = (donor_hydrogen[i] and acceptor[j]) or (donor_hydrogen[j] and acceptor[i])
            overlap = radii[i] + radii[j] - np.linalg.norm(positions[i] - positions[j])
            total += bool(overlap >= 0.4 and not bonded)
    return total
