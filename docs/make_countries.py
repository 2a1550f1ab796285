"""Make flowbench/plot/countries.json from the npm packages world-atlas and i18n-iso-countries.

    npm pack world-atlas@2.0.2 && npm pack i18n-iso-countries@7.14.0
    tar xzf world-atlas-2.0.2.tgz --one-top-level=atlas
    tar xzf i18n-iso-countries-7.14.0.tgz --one-top-level=codes
    python docs/make_countries.py atlas/package codes/package

The map has the polygons of the scale 1:110 million, and a point for each country that only the
scale 1:50 million shows. Both are Natural Earth's, in the public domain; world-atlas is ISC.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "flowbench" / "plot" / "countries.json"
LEAST_LATITUDE = -60  # Antarctica has no addresses and would take a quarter of the map
CODES = {"Kosovo": "XK"}  # used by registries, though not in ISO 3166


def decode(topology: dict[str, Any]) -> dict[str, tuple[str | None, list[list[list[float]]]]]:
    """Return the number and the rings of each country by name: points of longitude and latitude."""
    (dx, dy), (x0, y0) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for step_x, step_y in arc:
            x, y = x + step_x, y + step_y
            points.append([x * dx + x0, y * dy + y0])
        arcs.append(points)

    def ring(numbers: list[int]) -> list[list[float]]:
        joined: list[list[float]] = []
        for number in numbers:
            points = arcs[number] if number >= 0 else arcs[~number][::-1]
            joined += points[1:] if joined else points
        return joined

    countries = {}
    for shape in topology["objects"]["countries"]["geometries"]:
        if shape["type"] is None:
            continue
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        rings = [ring(numbers) for polygon in polygons for numbers in polygon]
        countries[shape["properties"]["name"]] = (shape.get("id"), rings)
    return countries


def flatten(points: list[list[float]]) -> list[float]:
    """Return points as one list, rounded to a tenth of a degree, without repetitions."""
    flat: list[float] = []
    turns = 0
    for number, (longitude, latitude) in enumerate(points):
        # An outline that crosses the 180th meridian goes on beyond it.
        if number and abs(longitude - points[number - 1][0]) > 180:
            turns += 360 if longitude < 0 else -360
        point = [round(longitude + turns, 1), round(latitude, 1)]
        if flat[-2:] != point:
            flat += point
    return flat


def main() -> None:
    """Write the file: a line for each country, so that changes can be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("codes", type=Path)
    given = parser.parse_args()
    listed = json.loads((given.codes / "codes.json").read_text(encoding="utf-8"))
    codes = {number: code for code, _, number, *_ in listed}
    coarse, fine = (
        decode(json.loads((given.atlas / f"countries-{scale}m.json").read_text(encoding="utf-8")))
        for scale in (110, 50)
    )
    drawn = {codes.get(number) for number, _ in coarse.values()}
    rows = []
    for name, (number, rings) in sorted((fine | coarse).items()):
        code = codes.get(number) or CODES.get(name)
        if name not in coarse and (code is None or code in drawn):
            continue
        largest = max(rings, key=len)
        longitudes, latitudes = zip(*largest, strict=True)
        if max(latitudes) < LEAST_LATITUDE:
            continue
        row: dict[str, Any] = {"code": code, "name": name}
        middle = (min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2
        row["at"] = [round(value, 1) for value in middle]
        row["rings"] = [flatten(points) for points in rings] if name in coarse else []
        rows.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
    licence = (given.atlas / "LICENSE").read_text(encoding="utf-8").strip()
    text = f'{{"licence": {json.dumps(licence)},\n"countries": [\n'
    TARGET.write_text(text + ",\n".join(rows) + "\n]}\n", encoding="utf-8")
    print(f"{TARGET}: {len(rows)} countries")


if __name__ == "__main__":
    main()
