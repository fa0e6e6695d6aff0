"""The report in a real browser: no errors, picking, sorting, filtering, keys, and the csv."""

from __future__ import annotations

import csv
import io
import shutil

import numpy as np
import pandas as pd
import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="module")
def browser(run, tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium.webdriver.chrome.service import Service

    from nanospine.output.report import write_report

    folder = tmp_path_factory.mktemp("report")
    radii = np.arange(10.0, 200, 10)

    statistics = {
        "Ripley L": pd.DataFrame(
            {
                "radius_nm": radii,
                "L": radii + 5,
                "theory": radii,
                "low": radii - 2,
                "high": radii + 2,
            }
        )
    }
    write_report(run, folder / "report.html", statistics=statistics)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader", "--window-size=1300,1000",
        f"--user-data-dir={folder}/profile",
    ):  # fmt: skip
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get((folder / "report.html").as_uri())
    yield driver
    driver.quit()


def _errors(browser):
    return [item for item in browser.get_log("browser") if item["level"] in ("SEVERE", "WARNING")
            and "GPU stall" not in item["message"]]  # fmt: skip


def _rows(browser):
    rows = browser.find_elements("css selector", "#spines tbody tr")
    return [row.get_attribute("data-spine") for row in rows]


def test_the_page_loads_without_errors(browser):
    assert browser.execute_script("return typeof window.nanospine.spineAt") == "function"
    assert _errors(browser) == []


def test_something_is_drawn_in_the_view(browser):
    colours = browser.execute_script("""
        const c = document.getElementById('view'), gl = c.getContext('webgl');
        const px = new Uint8Array(4 * c.width * c.height);
        gl.readPixels(0, 0, c.width, c.height, gl.RGBA, gl.UNSIGNED_BYTE, px);
        let blue = 0, grey = 0;
        for (let i = 0; i < px.length; i += 4) {
          if (px[i + 2] > px[i] + 50) blue++;
          else if (px[i] < 200) grey++;
        }
        return [blue, grey];""")
    assert colours[0] > 300  # the mushroom spine
    assert colours[1] > 3000


def test_a_click_on_a_spine_picks_its_row_and_shows_neck_and_picture(browser, run):
    from selenium.webdriver import ActionChains

    for spine in run.spines.spines:
        way = spine.centreline_nm[-1] - spine.centreline_nm[0]
        # From where the shaft does not stand before it; a little inside the tip
        view = "top" if abs(way[1]) >= abs(way[2]) else "side"
        browser.execute_script(f"document.querySelector('[data-from={view}]').click()")
        place = (spine.centreline_nm[-1] - 40 * way / np.linalg.norm(way)).tolist()
        x, y = browser.execute_script("return nanospine.project(arguments[0])", place)
        canvas = browser.find_element("id", "view")
        size = canvas.size
        ActionChains(browser).move_to_element_with_offset(
            canvas, round(x - size["width"] / 2), round(y - size["height"] / 2)
        ).click().perform()
        assert browser.execute_script("return nanospine.picked()") == spine.id
        picked = browser.find_element("css selector", "#spines tr.picked")
        assert picked.get_attribute("data-spine") == str(spine.id)
        detail = browser.find_element("id", "detail")
        assert f"spine {spine.id}: {spine.type}" in detail.text
        assert detail.find_elements("tag name", "svg")
        picture = detail.find_element("tag name", "img")
        assert picture.get_attribute("alt").startswith(f"Spine {spine.id}")
        assert browser.execute_script("return arguments[0].naturalWidth", picture) == 260
    assert _errors(browser) == []


def test_to_ask_for_a_spine_draws_nothing_anew(browser, run):
    """One pixel beside the canvas is drawn: large surfaces are picked as fast."""
    same = browser.execute_script("""
        const c = document.getElementById('view'), before = c.toDataURL(), found = new Set();
        for (let x = 5; x < c.clientWidth; x += 15)
          for (let y = 5; y < c.clientHeight; y += 15) found.add(nanospine.spineAt(x, y));
        return [before === c.toDataURL(), [...found]];""")
    assert same[0]
    assert {-2, -1} | {spine.id for spine in run.spines.spines} >= set(same[1]) >= {-2, -1, 0}
    assert _errors(browser) == []


def test_the_view_turns_with_the_mouse_and_the_keys(browser):
    from selenium.webdriver import ActionChains, Keys

    def seen():
        return browser.execute_script("return document.getElementById('view').toDataURL()")

    canvas, before = browser.find_element("id", "view"), seen()
    ActionChains(browser).drag_and_drop_by_offset(canvas, 80, 20).perform()
    dragged = seen()
    canvas.send_keys(Keys.ARROW_LEFT, "+")
    keyed = seen()
    browser.execute_script("document.getElementById('show-points').click()")
    assert len({before, dragged, keyed, seen()}) == 4
    canvas.send_keys("n")
    assert browser.execute_script("return nanospine.picked()") >= 0
    browser.execute_script("document.querySelector('[data-from=top]').click()")


def test_the_table_sorts_and_filters(browser, run):
    heads = browser.find_elements("css selector", "#spines th button")
    length = next(item for item in heads if item.text.startswith("length"))
    browser.execute_script("arguments[0].click()", length)
    lengths = run.spines.table.set_index("spine")["length_nm"]
    assert _rows(browser) == [str(i) for i in lengths.sort_values().index]
    browser.execute_script("arguments[0].click()", length)
    assert _rows(browser) == [str(i) for i in lengths.sort_values(ascending=False).index]
    box = browser.find_element("id", "filter")
    box.send_keys("thin")
    assert len(_rows(browser)) == (run.spines.table["type"] == "thin").sum()
    box.clear()
    limit = lengths.mean()
    box.send_keys(f"length > {limit:.0f}")
    assert len(_rows(browser)) == (lengths.round() > round(limit)).sum()
    saved = list(csv.DictReader(io.StringIO(browser.execute_script("return nanospine.csv()"))))
    assert [row["spine"] for row in saved] == _rows(browser)
    assert list(saved[0]) == list(run.spines.table.columns)
    box.clear()
    box.send_keys(" ")


def test_charts_are_drawn_and_named(browser):
    charts = browser.find_elements("css selector", "svg[role=img]")
    assert len(charts) >= 4
    assert all(chart.get_attribute("aria-label") for chart in charts)
    assert browser.find_elements("css selector", "#curve-0 svg polygon")  # the envelope


def test_every_control_can_be_reached_and_has_a_name(browser):
    nameless = browser.execute_script("""
        return [...document.querySelectorAll('button, input, select, img, canvas')].filter((e) =>
          !(e.textContent.trim() || e.getAttribute('aria-label') || e.alt || e.closest('label')))
          .map((e) => e.outerHTML)""")
    assert nameless == []
    assert browser.execute_script("return document.documentElement.lang") == "en"
    without = browser.execute_script("""
        return [...document.querySelectorAll('[aria-labelledby]')].filter((s) =>
          !document.getElementById(s.getAttribute('aria-labelledby'))).length""")
    assert without == 0
    assert _errors(browser) == []


def test_planes_show_types_behind_the_spines_and_pick(browser, run):
    fields = browser.execute_script(
        "return [...document.querySelectorAll('#continuum svg')].map((s) => [s.querySelectorAll("
        "'g rect').length, s.querySelectorAll('circle').length, s.getAttribute('aria-label')])"
    )
    # A plane with the neck on an axis needs two spines whose neck was measured
    measured = run.spines.table["neck_diameter_nm"].notna().sum()
    assert len(fields) == (3 if measured >= 2 else 1)
    for cells, spines, words in fields:
        assert cells >= 80
        assert spines == 2
        assert "of 2 spines" in words
    browser.execute_script(
        "document.querySelector('#continuum circle').dispatchEvent(new Event('click'))"
    )
    assert browser.find_element("id", "detail").text.startswith("spine 0")
    assert _errors(browser) == []
