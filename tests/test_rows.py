"""Pages with tables of tests: every row names a test, every test that is named exists.

And whatever the vendors' pages name has a row of its own.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# How the last column is called where it holds tests.
HEADS = ("test", "shown by", "goes red")
REFERENCE = re.compile(r"`(?:(tests/[\w/]+\.py)(?:::(\w+))?|(test_\w+))`")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(ROOT.glob("docs/*.md"))
}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(text: str) -> list[list[str]]:
    """Each table as its lines, the one of names first."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [block.splitlines() for block in found]


def rows_with_tests(text: str) -> list[str]:
    """The rows of all tables whose last column is one of tests."""
    return [row for names, _, *rows in tables(text) if cells(names)[-1] in HEADS for row in rows]


PAGES_OF_TESTS = [name for name, text in PAGES.items() if rows_with_tests(text)]


@cache
def defined(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@cache
def defined_anywhere() -> frozenset[str]:
    return frozenset().union(*(defined(path) for path in (ROOT / "tests").rglob("test_*.py")))


def missing(reference: tuple[str, str, str]) -> bool:
    file, name, bare = reference
    if bare:
        return bare not in defined_anywhere()
    if not (ROOT / file).exists():
        return True
    return bool(name) and name not in defined(ROOT / file)


def test_the_pages_with_tables_of_tests_are_found():
    pages = ("FAILURE", "SEGMENTS_OPERATION", "SEGMENTS_REFERENCE", "TRACKING_API")
    assert {f"docs/{page}.md" for page in pages} <= set(PAGES_OF_TESTS)


@pytest.mark.parametrize("page", PAGES_OF_TESTS)
def test_every_test_that_a_page_names_exists(page):
    named = REFERENCE.findall(PAGES[page])
    assert named
    assert [reference for reference in named if missing(reference)] == []


@pytest.mark.parametrize("page", PAGES_OF_TESTS)
def test_no_row_is_open(page):
    rows = rows_with_tests(PAGES[page])
    assert [row for row in rows if not REFERENCE.search(cells(row)[-1])] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_row_has_as_many_cells_as_its_table_has_names(page):
    for names, *rows in tables(PAGES[page]):
        width = names.count("|") - names.count("\\|")
        assert [row for row in rows if row.count("|") - row.count("\\|") != width] == []


# Every endpoint, field, status and parameter that the vendors' pages name, by page and section.
ON_THE_VENDORS_PAGES = {
    ("docs/TRACKING_API.md", ""): """
        POST PUT GET user_activities datamartId Content-Type $ts $type $session_status
        $user_identifiers $user_account_id $compartment_id $user_agent_id $hash $email $email_hash
        $app_id $site_id $events $event_name $properties $set_user_profile_properties
        $set_user_choice $processing_id $choice_acceptance_value USER_ACCOUNT USER_AGENT USER_EMAIL
        userPointSelector user_point_id= user_agent_id= compartment_id= user_account_id= email_hash=
        user_profiles compartmentId userAccount update_strategy PARTIAL_UPDATE PARTIAL_DELETE
        FORCE_REPLACE force_replace merge_objects user_choices processing_id=:processingId
        $choice_ts change_log
    """,
    ("docs/SEGMENTS_REFERENCE.md", "mediarithmics: Segments import"): """
        /v1/datamarts/<DATAMART_ID>/document_imports <DOCUMENT_IMPORT_ID>/executions POST
        Authorization Content-Type application/json application/x-ndjson document_type mime_type
        encoding name USER_SEGMENT APPLICATION_X_NDJSON TEXT_CSV utf-8 NDJSON
        `operation` `UPDATE` `DELETE` `compartment_id` `user_account_id` `email_hash`
        `user_agent_id` `segment_id` `segment_ids` `segment_technical_name`
        `segment_technical_names` `expiration_duration` `expiration_ts` `data_bag`
    """,
    ("docs/SEGMENTS_REFERENCE.md", "mParticle: User Segments Export API"): """
        https://query.indicative-prod.mparticle.com Basic
        /service/v1/segments/list /service/v1/segments/export/
        /service/v1/segments/export/{exportId}
        GET POST Content-Type application/json segmentId outputFormat 200 401 403 429 500
        `segmentId` `name` `description` `category` `projectId` `type` `Static` `Dynamic` `lastRun`
        `exportId` `segment` `status` `PENDING` `COMPLETE` `FAILED` `startTime` `endTime`
        `filename` s3:// JSON 48
    """,
    ("docs/SEGMENTS_REFERENCE.md", "Digital Audience: Segment API"): """
        /segment/audience:{audienceid:int} /segment/{segmentid:int} /segment/updateenddate
        /api/audience/create/api/audience/createcrmaudience /Segment/loadsegmentbyid/123
        /api/segment/updateenddate GET POST DELETE digitalAudience Content-Type application/json
        campaignId segmentid endDate
        `segmentId` `segmentRefId` `categoryId` `description` `extend` `active` `accountId`
        `audienceId` `platformId` `isRecurring` `isSystemGenerated` `country` `startDate` `endDate`
        `status` `statusId` `userName` `userId` `totalLogCount` `totalReadyCount`
        `totalProcessingCount` `totalPendingCount` `totalUploadCount` `totalFailedCount`
        `totalNoDataCount` `totalSegmentUploadCount` `id` `name` `created` `updated`
        `platformName` `platformDisplayName` `agencyId` `accountTypeId` `advertiserId` `clientId`
        `agencyName` `accountTypeName` `defaultSegmentPricingCategoryId`
    """,
}


def section(page: str, title: str) -> str:
    """What stands below a heading of the second level; without a title, all of the page."""
    text = PAGES[page]
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0] if title else text


@pytest.mark.parametrize(
    ("page", "title", "name"),
    [
        (*place, name)
        for place, names in ON_THE_VENDORS_PAGES.items()
        for name in dict.fromkeys(names.split())
    ],
)
def test_whatever_a_vendors_page_names_has_a_row(page, title, name):
    assert any(name in cells(row)[0] for row in rows_with_tests(section(page, title)))


# The samples that each section shows: requests, answers and bodies.
@pytest.mark.parametrize(
    ("title", "count"),
    [
        ("mediarithmics: Segments import", 2),
        ("mParticle: User Segments Export API", 3),
        ("Digital Audience: Segment API", 3),
    ],
)
def test_every_sample_of_a_vendors_page_has_a_row(title, count):
    rows = rows_with_tests(section("docs/SEGMENTS_REFERENCE.md", title))
    assert sum(cells(row)[0].startswith("sample") for row in rows) == count


SURE = ("documented", "seen", "inferred", "decided", "open", "as above")


def test_every_row_about_a_vendor_says_how_sure_it_is():
    for names, _, *rows in tables(PAGES["docs/SEGMENTS_REFERENCE.md"]):
        if "how sure" in cells(names):
            place = cells(names).index("how sure")
            assert [row for row in rows if not cells(row)[place].startswith(SURE)] == []
