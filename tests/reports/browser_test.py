#!/usr/bin/env python3
"""Opens pages of `lockstep report` in headless Chromium and uses them as a reader does.

usage: browser_test.py LOCKSTEP    (the program)
       browser_test.py --open FILE    only says how long the browser takes until the page stands there

One browser for all checks, driven through chromedriver with the standard library alone. Says "skipped" and ends well where
there is no browser. With LOCKSTEP_SHOTS=DIR it leaves a picture of every page there: light, dark and 400 pixels wide.
"""
import base64
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]

# What the page says about itself, checked in the page: pictures have names, a table stands beside each, controls have
# labels, text has contrast, nothing is wider than the window, every id is there once.
AUDIT = r"""
const wrong = [];
const visible = (e) => e.getClientRects().length > 0;
const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
ids.forEach((id, i) => { if (ids.indexOf(id) !== i) wrong.push('id twice: ' + id); });
for (const svg of document.querySelectorAll('svg:not([aria-hidden])')) {
  const [title, desc] = [svg.querySelector('title'), svg.querySelector('desc')];
  if (svg.getAttribute('role') !== 'img' || !title || !title.textContent.trim()) wrong.push('picture without a title');
  if (!desc || !desc.textContent.trim()) wrong.push('picture without a description: ' + title.textContent);
  for (const id of (svg.getAttribute('aria-labelledby') || 'none').split(' '))
    if (!document.getElementById(id)) wrong.push('aria-labelledby names nothing: ' + id);
  const section = svg.closest('section');
  if (!section || !section.querySelector('table')) wrong.push('no table beside: ' + title.textContent);
}
for (const table of document.querySelectorAll('table')) {
  if (!table.caption || !table.caption.textContent.trim()) wrong.push('table without a caption');
  if (!table.querySelector('th[scope=col]')) wrong.push('table without heads');
}
for (const e of document.querySelectorAll('button,input,a'))
  if (!(e.textContent.trim() || e.getAttribute('aria-label'))) wrong.push('no label: ' + e.outerHTML.slice(0, 80));
let level = 0;
for (const h of document.querySelectorAll('h1,h2,h3,h4')) {
  const now = +h.tagName[1];
  if (now > level + 1) wrong.push('headline leaves a level out: ' + h.textContent);
  level = now;
}
if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
if (!document.documentElement.lang) wrong.push('no language');
if (!document.title) wrong.push('no title');

const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = '#000'; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (c) => c.slice(0, 3).map((v) => v / 255)
  .map((v) => (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)).reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c[3] > 200) return c;
  }
  return [255, 255, 255, 255];
};
const seen = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const e = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || !visible(e) || e.closest('script,style,noscript,title,desc')) continue;
  if (e.closest('button:disabled')) continue;
  const style = getComputedStyle(e);
  const inSvg = e instanceof SVGElement;
  const mine = rgb(inSvg ? style.fill : style.color);
  let back = behind(inSvg ? e.ownerSVGElement.parentElement : e);
  if (inSvg && e.classList.contains('hl') && !e.previousElementSibling.classList.contains('s'))
    back = rgb(getComputedStyle(e.previousElementSibling).fill);
  const [a, b] = [luminance(mine), luminance(back)];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  const key = mine + '|' + back;
  if (ratio < 4.5 && !seen.has(key)) {
    seen.add(key);
    wrong.push('contrast ' + ratio.toFixed(2) + ': "' + walker.currentNode.textContent.trim().slice(0, 40) + '" ' + key);
  }
}
const wide = document.documentElement.scrollWidth - innerWidth;
if (wide > 0) wrong.push('wider than the window by ' + wide + ' px');
return wrong;
"""

# Labels in a picture that lie on each other: the boxes of all texts, pairwise.
COLLISIONS = r"""
const hits = [];
for (const svg of document.querySelectorAll('svg[role=img]')) {
  const texts = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]);
  for (let i = 0; i < texts.length; ++i) for (let j = 0; j < i; ++j) {
    const [a, b] = [texts[i][1], texts[j][1]];
    const dx = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const dy = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (dx > 1 && dy > 4) hits.push(texts[i][0] + ' on ' + texts[j][0]);
  }
}
return hits;
"""


def browsers():
    chromium = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
    return chromium, shutil.which("chromedriver")


class Browser:
    def __init__(self, chromium, driver, folder):
        self.driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       start_new_session=True)
        self.port = None
        for line in self.driver.stdout:
            if "successfully on port" in line:
                self.port = int(line.rstrip(". \n").rsplit(" ", 1)[1])
                break
        self.base = None
        if self.port is None:
            raise RuntimeError("chromedriver did not start")
        try:
            self.begin(chromium, folder)
        except Exception:
            self.end()
            raise

    def begin(self, chromium, folder):
        options = {"binary": chromium, "args": FLAGS + ["--user-data-dir=" + folder]}
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base = "/session/" + answer["sessionId"]

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())["value"]
        connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise RuntimeError(answer["message"])
        return answer

    def post(self, path, body):
        return self.call("POST", self.base + path, body)

    def cdp(self, command, **parameters):
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script, *arguments):
        return self.post("/execute/sync", {"script": script, "args": list(arguments)})

    def open(self, url):
        self.post("/url", {"url": url})

    def size(self, width, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, media="screen", scheme="light"):
        self.cdp("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])

    def key(self, name, code):
        for kind in ("keyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)

    def errors(self):
        return [entry["message"] for entry in self.post("/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def shot(self, path):
        height = min(self.run("return document.documentElement.scrollHeight"), 12000)
        width = self.run("return innerWidth")
        data = self.cdp("Page.captureScreenshot", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def end(self):
        try:
            if self.base:
                self.call("DELETE", self.base)
        except (OSError, RuntimeError):
            pass  # the signal ends it too
        os.killpg(self.driver.pid, signal.SIGTERM)
        self.driver.wait()


class Checks:
    def __init__(self):
        self.failed = 0

    def same(self, what, found, wanted):
        if found != wanted:
            self.failed += 1
            print(f"FAILED {what}: found {found!r}, wanted {wanted!r}")

    def none(self, what, found):
        self.same(what, found, [])


def audit(browser, checks, name, shots):
    for looks, media, scheme, width in (("light", "screen", "light", 1200), ("dark", "screen", "dark", 1200),
                                        ("narrow", "screen", "light", 400), ("print", "print", "dark", 800)):
        browser.media(media, scheme)
        browser.size(width)
        checks.none(f"{name}, {looks}", browser.run(AUDIT))
        if looks == "light":
            checks.none(f"{name}: labels that collide", browser.run(COLLISIONS))
        if shots:
            browser.shot(os.path.join(shots, f"{name}-{looks}.png"))
    browser.media()
    browser.size(1200)


def steps_by_click_and_key(browser, checks):
    now = lambda: browser.run("return document.querySelector('[data-p=now] .at').textContent.split(' \\u00b7 ')[0]")
    locks = lambda: browser.run("return [...document.querySelectorAll('[data-p=locks] tr')].map(r => r.innerText)")
    click = lambda name: browser.run(
        "document.querySelector(`button[data-go=\"${arguments[0]}\"]`).click()", name)
    total = browser.run("return +document.querySelector('[data-p=slider]').max")
    click("first")
    checks.same("at the start", now(), f"row 0 of {total}")
    checks.same("nothing is held at the start", locks(), ["nothing is held, nobody waits"])
    click("next")
    click("next")
    checks.same("two steps on, by click", now(), f"row 2 of {total}")
    checks.same("T1 holds A", locks(), ["A\tT1\t\u2013"])
    click("back")
    checks.same("one back, by click", now(), f"row 1 of {total}")
    browser.run("document.activeElement.blur()")
    browser.key("ArrowRight", 39)
    checks.same("on, by key", now(), f"row 2 of {total}")
    browser.key("ArrowLeft", 37)
    checks.same("back, by key", now(), f"row 1 of {total}")
    browser.key("End", 35)
    checks.same("to the end, by key", now(), f"row {total} of {total}")
    click("telling")
    checks.same("both wait in the cycle", locks(), ["A\tT1\tT2", "B\tT2\tT1"])
    checks.same("the graph shows the cycle", browser.run("return document.querySelectorAll('.two .edge.cyc').length"), 2)
    checks.same("the row of the steps is marked", browser.run(
        "return document.querySelector('.steps tr.on').textContent.includes('cycle')"), True)
    browser.run("document.querySelector('.steps tbody tr:nth-child(3)').click()")
    checks.same("a row of the steps goes there", now(), f"row 3 of {total}")
    browser.run("document.querySelector('.lanes [data-r=\"4\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    checks.same("a sign in the lanes goes there", now(), f"row 5 of {total}")
    place = browser.run("return location.hash")
    browser.open(browser.run("return location.href.split('#')[0]") + "?again" + place)
    checks.same("the address keeps the place", now(), f"row 5 of {total}")


def schedules(browser, checks, url):
    picks = lambda: browser.run("return [...document.querySelectorAll('[data-p=moves] button')].map(b => b.innerText)")
    schedule = lambda: browser.run("return document.querySelector('[data-p=schedule]').textContent.split('--schedule ')[1]")
    pick = lambda n: browser.run("document.querySelectorAll('[data-p=moves] button')[arguments[0]].click()", n)
    browser.open(url)
    checks.same("both may begin", picks(), ["T1: lock A", "T2: lock B"])
    pick(0)
    browser.run("document.activeElement.blur()")
    browser.run("document.querySelector('[data-explorer]').dispatchEvent(new Event('pointerdown', {bubbles: true}))")
    browser.key("2", 50)
    checks.same("the order so far", schedule(), '"T1 T2"')
    checks.same("each holds one", browser.run(
        "return [...document.querySelectorAll('[data-explorer] [data-p=locks] tr')].map(r => r.innerText)"),
        ["A\tT1\t\u2013", "B\tT2\t\u2013"])
    pick(0)
    pick(0)
    checks.same("the deadlock is reached", browser.run(
        "return document.querySelector('[data-explorer] [data-p=now]').textContent.includes('cycle T1\u2192T2\u2192T1')"), True)
    checks.same("and drawn", browser.run("return document.querySelectorAll('[data-explorer] .edge.cyc').length"), 2)
    link = browser.run("return location.href")
    browser.run("document.querySelector('[data-explorer] [data-go=back]').click()")
    checks.same("a step back", schedule(), '"T1 T2 T1"')
    browser.open(link.replace("#", "?again#"))
    checks.same("the link keeps the order", schedule(), '"T1 T2 T1 T2"')


def plays_to_an_end(browser, checks, url):
    browser.open(url)
    cut = browser.run("return document.querySelector('[data-explorer]').closest('section').textContent.includes('not every order')")
    checks.same("the graph of the philosophers is cut", cut, True)
    ends = browser.run("""
        const root = document.querySelector('[data-explorer]'), ends = [];
        for (let play = 0; play < 40; ++play) {
          root.querySelector('[data-go=first]').click();
          if (play % 2) root.querySelector('[data-go=end]').click();
          else for (let i = 0; i < 400 && !root.querySelector('[data-go=random]').disabled; ++i) root.querySelector('[data-go=random]').click();
          ends.push(root.querySelector('[data-p=now]').textContent.includes('the end:'));
        }
        return ends.filter((end) => !end).length;""")
    checks.same("random plays that come to no end", ends, 0)


def shows_data(browser, checks, url):
    browser.open(url)
    rows = lambda: browser.run("return [...document.querySelectorAll('[data-p=data] tr')].map((r) => r.innerText)")
    at = lambda n: browser.run(
        "const s = document.querySelector('[data-p=slider]'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))", n)
    at(0)
    first = rows()
    checks.same("at the start nothing is written", [line.split("\t")[2:] for line in first], [["\u2013", "\u2013"]] * len(first))
    total = browser.run("return +document.querySelector('[data-p=slider]').max")
    seen = set()
    for row in range(total + 1):
        at(row)
        for line in rows():
            seen.update(part for part in ("v1", "older") if part in line)
            if line.split("\t")[2] != "\u2013":
                seen.add("written")
    checks.same("versions, writes and old snapshots are seen", seen, {"v1", "older", "written"})


def predicts(browser, checks, url):
    browser.open(url)
    shown = lambda what: browser.run("return document.querySelector(arguments[0]).getClientRects().length > 0", what)
    text = lambda what: browser.run("return document.querySelector(`[data-p=${arguments[0]}]`).textContent", what)
    pick = lambda words: browser.run(
        "[...document.querySelectorAll('[data-p=ask] button')].find((b) => b.textContent === arguments[0]).click()", words)
    checks.same("the verdict stands there", shown(".verdict"), True)
    browser.run("document.querySelector('[data-go=predict]').click()")
    checks.same("the verdict is hidden", shown(".verdict"), False)
    checks.same("the lanes are hidden", shown(".lanes"), False)
    checks.same("the end is asked for", text("ask").startswith("How will this run end?"), True)
    pick("clean")
    for _ in range(200):
        if browser.run("return document.documentElement.classList.contains('predict')") is False:
            break
        if shown("[data-p=ask]"):
            browser.run("document.querySelector('[data-p=ask] button').click()")
        else:
            browser.run("document.querySelector('[data-go=next]').click()")
    checks.same("at the end the verdict is back", shown(".verdict"), True)
    checks.same("and the prediction beside it", "You expected clean: \u2717 no" in text("said"), True)


def explains_cells(browser, checks, url):
    browser.open(url)
    cells = browser.run("""return [...document.querySelectorAll('.matrix td a')].map((a) =>
        [a.title.length > 20, /^[\u2717\u2592\u21bb\u25a0\u2713?\u2260]/.test(a.textContent.trim()), a.getAttribute('href').startsWith('cells/')])""")
    checks.same("every cell has words on hover, a sign, and a page", [c for c in cells if c != [True, True, True]], [])
    checks.same("there are cells", len(cells) > 5, True)
    looks = browser.run("""return [...new Set([...document.querySelectorAll('.matrix td[class]')].map((c) =>
        c.className + getComputedStyle(c).backgroundColor + getComputedStyle(c).backgroundImage))].length""")
    kinds = browser.run("return new Set([...document.querySelectorAll('.matrix td[class]')].map((c) => c.className)).size")
    checks.same("each kind has a look of its own", looks, kinds)
    browser.size(400)
    checks.same("at 400 pixels a cell says its protocol", browser.run(
        "return getComputedStyle(document.querySelector('.matrix td a').closest('td'), '::before').content.length > 4"), True)
    browser.size(1200)
    browser.run("document.querySelector('.matrix td a').click()")
    checks.same("a cell leads to its run", browser.run("return document.querySelector('h1').textContent"), "isolation/write-skew")


def never_clean_beside_wrong(browser, checks, url):
    browser.open(url)
    word = browser.run("return document.querySelector('.verdict .word').textContent")
    checks.same("the box counts what is wrong", "WRONG" in word and "CLEAN" not in word.upper().replace("WRONG", ""), True)
    checks.same("the title too", "clean" in browser.run("return document.title"), False)


def sorts(browser, checks):
    column = lambda: browser.run("return [...document.querySelector('table.sort').tBodies[0].rows].map(r => r.cells[1].innerText)")
    head = "document.querySelector('table.sort th:nth-child(2) button').click()"
    browser.run(head)
    up = column()
    checks.same("a table sorts", up, sorted(up))
    browser.run(head)
    checks.same("and the other way", column(), up[::-1])


def readable_without_scripts(browser, checks, url):
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(url)
    browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    checks.same("no controls without scripts", browser.run(
        "return getComputedStyle(document.querySelector('.controls')).display"), "none")
    checks.same("the moment that tells most stands there", browser.run(
        "return document.querySelectorAll('[data-p=locks] tr').length"), 2)


def break_an_invariant(recording):
    """Whether a short load goes wrong is up to chance: one of the strategies of this comparison did."""
    with sqlite3.connect(recording) as database:
        (content,) = database.execute("SELECT content FROM document WHERE name = 'comparison'").fetchone()
        comparison = json.loads(content)
        row = comparison["groups"][0]["rows_of"][0]
        row.update(correct=False, invariant_broken=3, broken="the sum is below zero", place="wrong", vs_best=None)
        database.execute("UPDATE document SET content = ? WHERE name = 'comparison'", (json.dumps(comparison),))
    database.close()


def pages(lockstep, folder):
    environment = dict(os.environ, LOCKSTEP_RUNS=folder)

    def run(*words):
        done = subprocess.run([lockstep, *words], env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"lockstep {' '.join(words)}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    ids = [json.loads(run("run", *words, "--json", "--seed", "1"))["id"] for words in (
        ("deadlock/two-lock", "--protocol", "2pl-detect"), ("threads/dining-philosophers",),
        ("deadlock/two-lock", "--protocol", "2pl-wait-die"))]
    made = {}
    sqlite = json.loads(run("run", "isolation/write-skew", "--store", "sqlite", "--protocol", "deferred-wal", "--json"))["id"]
    skew = json.loads(run("run", "isolation/write-skew", "--protocol", "snapshot", "--json"))["id"]
    explored = json.loads(run("explore", "threads/two-lock", "--json"))["shortest"]
    dinner = json.loads(run("explore", "threads/dining-philosophers", "--json"))["shortest"]
    matrix = json.loads(run("matrix", "isolation/write-skew", "--store", "kv,sqlite", "--json"))["id"]
    compared = [json.loads(run("compare", "isolation/write-skew", "--strategy", "snapshot,ssi", "--for", "150ms", "--warmup",
                               "10ms", "--rounds", "3", "--sessions", "4", "--rows", "1", "--json"))["id"] for _ in range(2)]
    break_an_invariant(os.path.join(folder, compared[0], "run.sqlite"))
    for name, words in (("run", ids[:1]), ("philosophers", ids[1:2]), ("several", [ids[2], "--baseline", ids[0]]),
                        ("exploration", [explored]), ("dinner", [dinner]), ("matrix", [matrix, "--cells"]),
                        ("sqlite", [sqlite]), ("skew", [skew]), ("comparison", compared[:1]),
                        ("changes", [compared[1], "--baseline", compared[0]])):
        out = os.path.join(folder, name)
        run("report", *words, "--out", out)
        made[name] = "file://" + os.path.join(out, "report.html")
    return made


HISTORIES = {
    "history-skew": ("""{:type :invoke :process 0 :f :txn :value [[:r x nil] [:r y nil] [:append x 1]]}
{:type :invoke :process 1 :f :txn :value [[:r x nil] [:r y nil] [:append y 1]]}
{:type :ok :process 0 :f :txn :value [[:r x []] [:r y []] [:append x 1]]}
{:type :ok :process 1 :f :txn :value [[:r x []] [:r y []] [:append y 1]]}
{:type :ok :process 2 :f :txn :value [[:r x [1]] [:r y [1]]]}
""", 1, ["--all"]),
    "history-unknown": ("{:type :ok :process 0 :f :txn :value [[:append x 1]]}\n", 3, []),
    "history-linear": ("{:type :ok :process 0 :f :write :value 1}\n{:type :ok :process 0 :f :read :value 2}\n", 1, []),
    "history-valid": ("""{:type :ok :process 0 :f :txn :value [[:append x 1]]}
{:type :ok :process 1 :f :txn :value [[:r x [1]]]}
""", 0, []),
}


def history_pages(lockstep, folder):
    made = {}
    for name, (text, code, words) in HISTORIES.items():
        path = os.path.join(folder, name + ".edn")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([lockstep, "check-history", path, "--report", *words], capture_output=True, text=True, check=False)
        if done.returncode != code:
            raise RuntimeError(f"lockstep check-history {path}: exit code {done.returncode}: {done.stderr}")
        made[name] = "file://" + os.path.join(folder, name + ".html")
    return made


def time_to_open(chromium, driver, path):
    with tempfile.TemporaryDirectory(prefix="lockstep-pages-") as folder:
        browser = Browser(chromium, driver, os.path.join(folder, "profile"))
        try:
            for _ in range(3):
                browser.open("file://" + os.path.abspath(path))
                print(browser.run("const t = performance.getEntriesByType('navigation')[0];"
                                  "return `loaded after ${t.loadEventEnd.toFixed(0)} ms, ${t.decodedBodySize} bytes`"))
        finally:
            browser.end()
    return 0


def main():
    chromium, driver = browsers()
    if not chromium or not driver:
        print("skipped: no chromium and chromedriver here (Debian: chromium chromium-driver)")
        return 0
    if sys.argv[1] == "--open":
        return time_to_open(chromium, driver, sys.argv[2])
    shots = os.environ.get("LOCKSTEP_SHOTS")
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="lockstep-pages-") as folder:
        made = pages(sys.argv[1], os.path.join(folder, "runs"))
        made.update(history_pages(sys.argv[1], folder))
        browser = Browser(chromium, driver, os.path.join(folder, "profile"))
        try:
            for name, url in made.items():
                browser.open(url)
                audit(browser, checks, name, shots)
            browser.open(made["run"])
            steps_by_click_and_key(browser, checks)
            schedules(browser, checks, made["exploration"])
            plays_to_an_end(browser, checks, made["dinner"])
            shows_data(browser, checks, made["skew"])
            predicts(browser, checks, made["run"])
            explains_cells(browser, checks, made["matrix"])
            never_clean_beside_wrong(browser, checks, made["comparison"])
            browser.open(made["several"])
            sorts(browser, checks)
            readable_without_scripts(browser, checks, made["run"])
            checks.none("errors in the console", browser.errors())
        finally:
            browser.end()
    print("FAILED" if checks.failed else f"passed: {len(made)} pages")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
