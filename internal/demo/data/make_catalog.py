#!/usr/bin/env python3
"""Makes catalog.csv, the demo catalogue, from movies.json of the npm package vega-datasets.

Usage: make_catalog.py [MOVIES_JSON]

Without an argument the pinned version of the package is fetched with `npm pack`.
The file's checksum is verified, and the same input always gives the same bytes.
Needs Python 3.9 or newer, nothing else.

Columns: id, title, genres (joined with "|"), duration_min, year, popularity, added_at, expires_at,
hidden, suitability (joined with "|", empty is everybody), franchise. An empty cell is "not known".
"""

import csv
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
from collections import Counter
from datetime import datetime

PACKAGE = "vega-datasets@3.2.1"
MOVIES_SHA256 = "e63c499759e3b07b49563e036f55290f87feb56def8703ec049ca305ab1523d3"
OUTPUT = pathlib.Path(__file__).parent / "catalog.csv"

COLUMNS = ["id", "title", "genres", "duration_min", "year", "popularity", "added_at", "expires_at",
           "hidden", "suitability", "franchise"]

# The source was collected in 2010 and announces films up to the end of 2011. Its dates were once written
# with two-digit years, so a later year is one of a hundred years earlier: 2039 is 1939.
LAST_YEAR = 2011

MAX_ID = 40  # bytes of an item id

# Genres that a film has by its "Major Genre". The names are matched to the case, here and in scoring.
MAJOR_GENRES = {
    "Action": ["Action"],
    "Adventure": ["Adventure"],
    "Black Comedy": ["Comedy"],
    "Comedy": ["Comedy"],
    "Concert/Performance": ["Music"],
    "Documentary": ["Documentary"],
    "Drama": ["Drama"],
    "Horror": ["Horror"],
    "Musical": ["Music"],
    "Romantic Comedy": ["Comedy", "Romance"],
    "Thriller/Suspense": ["Thriller"],
    "Western": ["Western"],
}

# Genres that its "Creative Type" adds. The types that are not listed add none.
CREATIVE_GENRES = {
    "Dramatization": ["Drama"],
    "Fantasy": ["Fantasy"],
    "Historical Fiction": ["History"],
    "Kids Fiction": ["Family"],
    "Science Fiction": ["Science Fiction"],
    "Super Hero": ["Action", "Fantasy"],
}

# Films for one or two to watch: frightening, demanding or adult ones. All others suit everybody.
SMALL_COMPANY_GENRES = {"Horror", "Documentary"}
SMALL_COMPANY_RATING = "NC-17"


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else None
    films = read_movies(source)
    rows = [catalog_row(film) for film in films if film["Title"] is not None]
    assign_ids(rows)
    assign_franchises(rows)
    keep_newest_votes(rows)
    rows.sort(key=lambda row: row["id"])
    write_catalog(rows)
    print(f"{OUTPUT.name}: {len(rows)} films, {OUTPUT.stat().st_size} bytes")


def read_movies(path):
    """Returns the records of movies.json at path, or of the pinned package."""
    data = pathlib.Path(path).read_bytes() if path else fetch_movies()
    if hashlib.sha256(data).hexdigest() != MOVIES_SHA256:
        sys.exit(f"movies.json is not that of {PACKAGE}: give the right file, or none to fetch it")
    return json.loads(data)


def fetch_movies():
    """Returns movies.json as the package ships it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        archive = next(pathlib.Path(folder).glob("*.tgz"))
        with tarfile.open(archive) as tar:
            return tar.extractfile("package/data/movies.json").read()


def catalog_row(film):
    """Returns a film's row, its id and franchise still to come."""
    released = release_date(film["Release Date"])
    genres = film_genres(film)
    return {
        "title": clean_title(film["Title"]),
        "genres": "|".join(genres),
        "duration_min": known(film["Running Time min"]),
        "year": released.year,
        "popularity": known(film["IMDB Votes"]),
        "added_at": released.strftime("%Y-%m-%dT00:00:00Z"),
        "expires_at": "",
        "hidden": "false",
        "suitability": suitability(film, genres),
    }


def known(number):
    return "" if number is None else number


def clean_title(title):
    """Returns a title as text, its article in front, its spaces and letters repaired.

    Some titles are numbers (1776, 300). Others are Latin-1 bytes that were once read as Mac Roman:
    "AmÈlie" is "Amélie".
    """
    text = " ".join(str(title).split())
    try:
        text = text.encode("mac_roman").decode("cp1252")
    except UnicodeError:
        pass  # letters that Mac Roman does not have: it was never misread
    name, comma, article = text.rpartition(", ")
    return f"{article} {name}" if comma and article in ("The", "A", "An") else text


def release_date(text):
    """Returns the day of "Jun 12 1998", with the century put right."""
    day = datetime.strptime(text, "%b %d %Y")
    return day.replace(year=day.year - 100) if day.year > LAST_YEAR else day


def film_genres(film):
    """Returns the film's genres, each once, those of the major genre first."""
    genres = MAJOR_GENRES.get(film["Major Genre"], []) + CREATIVE_GENRES.get(film["Creative Type"], [])
    return list(dict.fromkeys(genres))


def suitability(film, genres):
    small = SMALL_COMPANY_GENRES & set(genres) or film["MPAA Rating"] == SMALL_COMPANY_RATING
    return "solo|couple" if small else ""


def slug(text):
    """Returns the text in lower-case ASCII letters and digits, its words joined with hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower().replace("'", "")).strip("-")


def assign_ids(rows):
    """Gives every row the id title-year, with a number behind where films share both."""
    used = Counter()
    for row in rows:
        base = shorten(slug(row["title"]), MAX_ID - len("-1999-2")) + f"-{row['year']}"
        used[base] += 1
        row["id"] = base if used[base] == 1 else f"{base}-{used[base]}"


def shorten(text, limit):
    """Cuts a slug to at most limit bytes, at the end of a word where there is one."""
    if len(text) <= limit:
        return text
    head, hyphen, _ = text[:limit + 1].rpartition("-")
    return head if hyphen else text[:limit]


def assign_franchises(rows):
    """Names the franchise of films whose titles differ in their part only, such as Saw and Saw II."""
    parts = [franchise_key(row["title"]) for row in rows]
    films, sequels = Counter(key for key, _ in parts), Counter(key for key, part in parts if part)
    for row, (key, _) in zip(rows, parts):
        row["franchise"] = key if films[key] > 1 and sequels[key] > 0 else ""


# What a title has behind the franchise's name: a number, a volume, a subtitle.
PART = re.compile(r"(:| - | Ep\. | Part | Vol(ume|\.) |\s+(\d{1,2}|II|III|IV|V|VI|VII|VIII|IX|X)(:|$)).*$")
# The same for titles such as "Harry Potter and the Goblet of Fire"; the name has two words at least there.
AND_THE = re.compile(r"^(\S+ \S.*?) and the .*$")


def franchise_key(title):
    """Returns the slug of a title without its part, and whether there was one."""
    name = re.sub(r"^The ", "", title)
    stem = PART.sub("", name)
    if stem == name:
        stem = AND_THE.sub(r"\1", name)
    return slug(stem), stem != name


def keep_newest_votes(rows):
    """Empties the popularity of older films where several of one title have the same votes.

    The source found its votes by title: Casino Royale of 1967 has those of 2006.
    """
    newest = {}
    for row in rows:
        key = row["title"], row["popularity"]
        newest[key] = max(newest.get(key, 0), row["year"])
    for row in rows:
        if row["year"] < newest[row["title"], row["popularity"]]:
            row["popularity"] = ""


def write_catalog(rows):
    with OUTPUT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
