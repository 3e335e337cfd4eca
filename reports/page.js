'use strict';
// The report's own script: the player, linked highlighting, sortable tables. Without it everything can be read.
(() => {
  document.documentElement.classList.add('js');
  const SVG = 'http://www.w3.org/2000/svg';
  const make = (name, className, text) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // --- how things stand: the holders and waiters of objects --------------------------------------------------------

  /** The actors of others that `from` can reach along waits; true when `to` is among them. */
  function reaches(standing, from, to) {
    const seen = new Set(), open = [from];
    while (open.length) {
      const at = open.pop();
      if (at === to) return true;
      if (seen.has(at) || at < 0) continue;
      seen.add(at);
      const wait = standing[at].wait;
      if (wait) open.push(...wait.others);
    }
    return false;
  }

  /** The rows of the lock table: [object, holders, waiters]. */
  function locks(standing, actors) {
    const table = new Map();
    const row = (object) => {
      if (!table.has(object)) table.set(object, [[], []]);
      return table.get(object);
    };
    standing.forEach((actor, i) => {
      actor.held.forEach((how, object) => row(object)[0].push(actors[i] + (how ? ` (${how})` : '')));
    });
    standing.forEach((actor, i) => {
      if (actor.wait) row(actor.wait.object)[1].push(actors[i]);
    });
    return [...table].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }

  function drawTable(body, standing, actors) {
    const rows = locks(standing, actors);
    body.replaceChildren(...rows.map(([object, [held, wanted]]) => {
      const row = make('tr');
      row.append(make('td', 'mono', object || '(rows of a statement)'), make('td', '', held.join(', ') || '\u2013'),
        make('td', wanted.length ? 'wait' : '', wanted.join(', ') || '\u2013'));
      return row;
    }));
    if (!rows.length) {
      const row = make('tr'), cell = make('td', 'dim', 'nothing is held, nobody waits');
      cell.colSpan = 3;
      row.append(cell);
      body.append(row);
    }
  }

  // --- the rows of the store: versions, what is not committed, what snapshots see ---------------------------------

  /** What a run began with; nothing where the recording does not say. */
  const freshData = ({given, words, actors}) => given && {
    committed: new Map(given.map(([key, value]) => [words[key], {value: words[value], version: 0, by: -1}])),
    actors: actors.map(() => ({written: new Map(), view: null})),
  };

  function changeData(data, [kind, actor, object, value, erased], words) {
    const who = data.actors[actor];
    if (kind === 4) who.written.set(words[object], erased ? null : words[value]);
    if (kind === 5) {
      who.written.forEach((now, key) => {
        const row = data.committed.get(key);
        data.committed.set(key, {value: now, version: (row ? row.version : 0) + 1, by: actor});
      });
    }
    if (kind === 5 || kind === 6) who.written.clear();
    if (kind === 7) who.view = new Map(data.committed);
    if (kind === 8) who.view = null;
  }

  function drawData(body, data, actors) {
    const version = (row) => {
      const by = row.by < 0 ? '' : ' by ' + actors[row.by];
      return [row.value === null ? make('i', '', 'no such row') : row.value, ' ', make('span', 'dim', `v${row.version}${by}`)];
    };
    const keys = new Set(data.committed.keys());
    data.actors.forEach((actor) => actor.written.forEach((value, key) => keys.add(key)));
    const lines = (cell, all) => {
      all.forEach((parts, i) => cell.append(...(i ? [make('br')] : []), ...parts));
      if (!all.length) cell.textContent = '\u2013';
      return cell;
    };
    body.replaceChildren(...[...keys].sort().map((key) => {
      const row = make('tr'), now = data.committed.get(key), written = [], seen = [];
      data.actors.forEach((actor, i) => {
        const name = () => [make('b', '', actors[i]), ' '];
        if (actor.written.has(key)) written.push([...name(), actor.written.get(key) ?? 'erased']);
        if (!actor.view) return;
        const old = actor.view.get(key) ?? {value: null, version: 0, by: -1};
        const late = now && now.version > old.version ? [' ', make('span', 'wait', 'older')] : [];
        seen.push([...name(), ...version(old), ...late]);
      });
      row.append(make('td', 'mono', key), lines(make('td'), now ? [version(now)] : []), lines(make('td'), written),
        lines(make('td'), seen));
      return row;
    }));
  }

  const rim = (node, x, y) => {
    const dx = x - node.x, dy = y - node.y, rx = node.h + 5, ry = 21;
    const length = Math.sqrt(dx * dx / (rx * rx) + dy * dy / (ry * ry)) || 1;
    return [node.x + dx / length, node.y + dy / length];
  };

  /** An arrow that bends to the left of its way: the rule of wait_svg.cc. */
  function edge(from, to, label, onCycle, labelled) {
    const dx = to.x - from.x, dy = to.y - from.y, length = Math.max(1, Math.hypot(dx, dy));
    const bend = Math.min(46, length * 0.22);
    const cx = (from.x + to.x) / 2 + dy / length * bend, cy = (from.y + to.y) / 2 - dx / length * bend;
    const [x1, y1] = rim(from, cx, cy), [x2, y2] = rim(to, cx, cy);
    const add = (parent, name, values, text) => {
      const node = parent.appendChild(document.createElementNS(SVG, name));
      for (const [key, value] of Object.entries(values)) node.setAttribute(key, value);
      if (text !== undefined) node.textContent = text;
      return node;
    };
    const group = document.createElementNS(SVG, 'g');
    group.setAttribute('class', onCycle ? 'edge cyc' : 'edge');
    add(group, 'title', {}, label);
    add(group, 'path', {d: `M${x1} ${y1}Q${cx} ${cy} ${x2} ${y2}`, 'marker-end': 'url(#arrow)'});
    if (!labelled) return group;
    const text = label.length > 22 ? label.slice(0, 21) + '\u2026' : label;
    const x = (x1 + 2 * cx + x2) / 4, y = (y1 + 2 * cy + y2) / 4, wide = 7.2 * text.length + 8;
    add(group, 'rect', {x: x - wide / 2, y: y - 9, width: wide, height: 18});
    add(group, 'text', {x, y: y + 4}, text);
    return group;
  }

  function drawGraph(svg, standing, actors) {
    if (!svg) return;
    const nodes = [...svg.querySelectorAll('.node')];
    const places = nodes.map((node) => ({x: +node.dataset.x, y: +node.dataset.y, h: +node.dataset.h}));
    const edges = [], words = [];
    standing.forEach((actor, i) => {
      const look = actor.gone ? ' gone' : actor.wait ? ' waits' : actor.held.size ? ' holds' : '';
      nodes[i].setAttribute('class', 'node' + look);
      if (!actor.wait) return;
      actor.wait.others.forEach((other) => {
        if (other < 0 || other === i) return;
        const label = actor.wait.object ? 'wants ' + actor.wait.object : 'waits';
        edges.push([places[i], places[other], label, reaches(standing, other, i)]);
        words.push(`${actors[i]} waits for ${actors[other]}`);
      });
    });
    const labelled = edges.length <= nodes.length + 1;
    svg.querySelector('.edges').replaceChildren(...edges.map((each) => edge(...each, labelled)));
    svg.querySelector('desc').textContent = words.join(', ') || 'Nobody waits.';
  }

  const nobody = (actors) => actors.map(() => ({held: new Map(), wait: null, gone: false}));

  // --- a player over moments: a run is a line of them, an exploration a graph ---------------------------------------

  class Player {
    constructor(root, data) {
      this.root = root;
      this.data = data;
      this.find = (name) => root.querySelector(`[data-p="${name}"]`);
      root.addEventListener('click', (event) => {
        const button = event.target.closest('button[data-go]');
        if (button) this.press(button.dataset.go);
      });
    }
    draw(standing) {
      drawTable(this.find('locks'), standing, this.data.actors);
      drawGraph(this.root.querySelector('svg.waits'), standing, this.data.actors);
    }
    enable(name, on) {
      const button = this.root.querySelector(`button[data-go="${name}"]`);
      if (button) button.disabled = !on;
    }
    /** Keys count for the player that was used last. */
    key(event) {
      const go = {ArrowLeft: 'back', ArrowRight: 'next', Home: 'first', End: 'last'}[event.key];
      if (!go) return;
      event.preventDefault();
      this.press(go);
    }
  }

  class RunPlayer extends Player {
    constructor(root, data) {
      super(root, data);
      this.at = data.start;
      this.slider = this.find('slider');
      this.slider.addEventListener('input', () => this.go(+this.slider.value));
      const prefix = root.dataset.player;
      this.marks = new Map();
      document.querySelectorAll(`#${prefix}-lanes [data-r]`).forEach((mark) => this.marks.set(+mark.dataset.r, mark));
      this.marks.forEach((mark, row) => mark.addEventListener('click', () => this.go(row + 1)));
      const table = document.querySelector(`#${prefix}-steps tbody`);
      this.rows = table ? [...table.rows] : [];
      this.box = table ? table.closest('.tall') : null;
      if (table) {
        table.addEventListener('click', (event) => {
          const row = event.target.closest('tr');
          if (row && !getSelection().toString()) this.go(this.rows.indexOf(row) + 1);
        });
      }
      this.prefix = prefix;
      this.fromLink();
    }
    fromLink() {
      const found = location.hash.match(new RegExp(`^#${this.prefix}-row=(\\d+)$`));
      this.go(found ? +found[1] : this.at, true);
      if (found) this.root.scrollIntoView();
    }
    press(name) {
      const end = this.data.rows.length;
      if (name === 'predict') return this.predict(!this.predicts);
      if (this.predicts && name === 'next' && this.asks()) return;
      this.ask(null);
      this.go({first: 0, back: this.at - 1, next: this.at + 1, last: end, telling: this.data.start}[name]);
    }
    /** On: the page keeps the verdict and what is to come to itself, and asks before it shows. */
    predict(on) {
      this.predicts = on;
      this.right = this.asked = 0;
      this.told = this.verdict = '';
      document.documentElement.classList.toggle('predict', on);
      this.root.querySelector('button[data-go=predict]').setAttribute('aria-pressed', on);
      this.say(null);
      this.ask(null);
      if (!on) return this.go(this.data.start);
      this.go(0);
      const verdicts = ['clean', 'deadlock', 'abort', 'anomaly', 'timeout', 'hung'];
      if (!verdicts.includes(this.data.verdict)) verdicts.push(this.data.verdict);
      this.ask('How will this run end?', verdicts.map((verdict) => [verdict, () => {
        this.verdict = verdict;
        this.say(`You expect: ${verdict}. Next goes on.`);
        this.ask(null);
      }]));
    }
    /** The question of the next row, where it has one. */
    asks() {
      const {rows, words, actors} = this.data, row = rows[this.at];
      if (!row || row[2] < 0 || !this.find('ask').hidden) return !!row && !this.find('ask').hidden;
      const before = this.standing[row[2]], kinds = {wait: 'it waits', fault: 'it fails'};
      const answer = kinds[row[3]] || 'it goes on';
      if (!row[8]) return false;
      const doing = words[row[8]];
      const question = before.wait ? `${actors[row[2]]} waits${before.wait.object ? ' for ' + before.wait.object : ''}. How does the wait end?`
        : `${actors[row[2]]} is about to: ${doing}. What happens?`;
      const choices = before.wait ? ['it goes on', 'it fails'] : ['it goes on', 'it waits', 'it fails'];
      this.ask(question, choices.map((choice) => [choice, () => {
        this.asked += 1;
        if (choice === answer) this.right += 1;
        this.ask(null);
        const status = words[row[5]] ? ', ' + words[row[5]] : '';
        this.told = `${choice === answer ? '\u2713 right' : '\u2717 no'}: ${answer}${status}. ${this.right} of ${this.asked} right so far.`;
        this.say(this.told);
        this.go(this.at + 1);
      }]));
      return true;
    }
    /** At the end: the verdict beside what was expected. */
    judge() {
      if (!this.predicts || this.at < this.data.rows.length) return;
      document.documentElement.classList.remove('predict');
      const {verdict} = this.data, right = this.verdict === verdict;
      const expected = this.verdict ? ` You expected ${this.verdict}: ${right ? '\u2713 right' : '\u2717 no'}.` : '';
      this.say(`${this.told || ''} The end: ${verdict}.${expected}`.trim());
      this.predicts = false;
      this.root.querySelector('button[data-go=predict]').setAttribute('aria-pressed', false);
    }
    ask(question, choices) {
      const box = this.find('ask');
      box.hidden = !question;
      if (!question) return;
      box.replaceChildren(make('b', '', question), ...choices.map(([words, chosen]) => {
        const button = make('button', 'b', words);
        button.type = 'button';
        button.addEventListener('click', chosen);
        return button;
      }));
    }
    say(words) {
      const line = this.find('said');
      line.hidden = !words;
      line.textContent = words || '';
    }
    go(to, quietly) {
      const {rows, words, actors} = this.data;
      this.at = Math.max(0, Math.min(rows.length, to));
      const standing = nobody(actors);
      rows.slice(0, this.at).forEach(([, , , , , , changes]) => changes.forEach(([kind, actor, object, extra]) => {
        const who = standing[actor];
        if (kind === 0) who.held.set(words[object], words[extra]);
        if (kind === 1) who.held.delete(words[object]);
        if (kind === 2) who.wait = {object: words[object], others: extra};
        if (kind === 3) who.wait = null;
      }));
      rows.slice(0, this.at).forEach(([, , actor, , , , , ends]) => { if (ends) standing[actor].gone = true; });
      this.standing = standing;
      this.draw(standing);
      const data = freshData(this.data), table = this.find('data');
      if (data && table) {
        rows.slice(0, this.at).forEach((row) => row[6].forEach((change) => changeData(data, change, words)));
        drawData(table, data, actors);
      }
      this.tell(quietly);
      if (!quietly) history.replaceState(null, '', `#${this.prefix}-row=${this.at}`);
      this.judge();
    }
    tell(quietly) {
      const {rows, words, actors, unit} = this.data;
      const now = this.find('now'), row = rows[this.at - 1];
      const at = make('span', 'at', `row ${this.at} of ${rows.length}` +
        (row ? ` \u00b7 ${row[0] ? 'step ' + row[0] + ' \u00b7 ' : ''}${row[1]} ${unit}` : ' \u00b7 before the first step'));
      const parts = [at];
      if (row) {
        if (row[2] >= 0) parts.push(make('b', '', actors[row[2]]));
        parts.push(words[row[4]]);
        if (words[row[5]]) parts.push(make('span', row[3] === 'wait' ? 'wait' : 'dim', ' \u2014 ' + words[row[5]]));
      }
      now.replaceChildren(...parts);
      this.slider.value = this.at;
      for (const name of ['first', 'back']) this.enable(name, this.at > 0);
      for (const name of ['next', 'last']) this.enable(name, this.at < rows.length);
      if (this.on) this.on.forEach((node) => node.classList.remove('on'));
      this.on = [this.marks.get(this.at - 1), this.rows[this.at - 1]].filter(Boolean);
      this.on.forEach((node) => node.classList.add('on'));
      const shown = this.rows[this.at - 1];
      // To ask where a row of thousands is would lay all of them out before the page shows.
      if (this.box && shown && !(quietly && this.box.closest('.big'))) {
        const top = shown.offsetTop - this.box.clientHeight / 2;
        this.box.scrollTop = Math.max(0, top);
      }
    }
  }

  class GraphPlayer extends Player {
    constructor(root, data) {
      super(root, data);
      this.prefix = root.dataset.explorer;
      this.fromLink();
    }
    /** The moves in the address: "0.0.1t" is actor 0 twice, then the deadline of actor 1. */
    fromLink() {
      const found = location.hash.match(new RegExp(`^#${this.prefix}=([\\dt.]*)$`));
      if (!found && this.path) return;
      this.path = [];
      this.ahead = [];
      if (found) {
        for (const word of found[1].split('.')) {
          const move = this.moves().find((m) => m[0] === parseInt(word, 10) && !!m[1] === word.endsWith('t'));
          if (!move || move[2] < 0) break;
          this.path.push(move);
        }
        this.root.scrollIntoView();
      }
      this.show(true);
    }
    state() { return this.data.states[this.path.length ? this.path[this.path.length - 1][2] : 0]; }
    moves() { return this.state().moves; }
    take(move) {
      if (!move || move[2] < 0) return;
      if (this.ahead.length && this.ahead[this.ahead.length - 1] === move) this.ahead.pop();
      else this.ahead = [];
      this.path.push(move);
      this.show();
    }
    press(name) {
      if (name === 'first') while (this.path.length) this.ahead.push(this.path.pop());
      if (name === 'back' && this.path.length) this.ahead.push(this.path.pop());
      if (name === 'random') return this.take(this.chance());
      if (name === 'end') return this.playToEnd();
      if (name === 'next') return this.take(this.ahead[this.ahead.length - 1] || (this.moves().length === 1 && this.moves()[0]));
      this.show();
    }
    key(event) {
      if (/^[1-9]$/.test(event.key)) {
        event.preventDefault();
        return this.take(this.moves().find((move) => move[0] === +event.key - 1));
      }
      super.key(event);
    }
    /** A move by chance among those that are kept; each of them leads to an end. */
    chance() {
      const moves = this.moves().filter((move) => move[2] >= 0);
      return moves[Math.floor(Math.random() * moves.length)];
    }
    playToEnd() {
      this.ahead = [];
      for (let move = this.chance(); move; move = this.chance()) this.path.push(move);
      this.show();
    }
    name(move) { return this.data.actors[move[0]] + (move[1] ? ':timeout' : ''); }
    show(quietly) {
      const {texts, actors} = this.data, state = this.state();
      const standing = nobody(actors);
      state.actors.forEach(([stands], i) => { standing[i].gone = stands === 'finished'; });
      state.holds.forEach(([actor, what, how]) => standing[actor].held.set(texts[what], texts[how] === 'exclusive' ? '' : texts[how]));
      state.waits.forEach(([from, to, what]) => {
        const wait = standing[from].wait || (standing[from].wait = {object: texts[what], others: []});
        wait.others.push(to);
      });
      this.draw(standing);
      const picks = state.moves.map((move) => {
        const button = make('button', 'b go', this.name(move) + ': ' + (move[1] ? 'its time is up' : texts[state.actors[move[0]][1]]));
        button.type = 'button';
        button.disabled = move[2] < 0;
        if (button.disabled) button.title = 'beyond the part of the graph that was kept';
        button.addEventListener('click', () => { this.take(move); const next = this.find('moves').querySelector('button'); if (next) next.focus({preventScroll: true}); });
        return button;
      });
      this.find('moves').replaceChildren(...picks);
      this.tell(state);
      this.enable('first', this.path.length > 0);
      this.enable('back', this.path.length > 0);
      this.enable('next', this.ahead.length > 0 || state.moves.length === 1);
      const over = !state.moves.some((move) => move[2] >= 0);
      this.enable('random', !over);
      this.enable('end', !over);
      const words = this.path.map((move) => `${move[0]}${move[1] ? 't' : ''}`).join('.');
      if (!quietly) history.replaceState(null, '', `#${this.prefix}=${words}`);
    }
    tell(state) {
      const {texts, actors} = this.data;
      const parts = [make('span', 'at', `step ${this.path.length}`)];
      const last = this.path[this.path.length - 1];
      const lines = last ? last[3].map((text) => texts[text]) : ['Nobody has taken a step yet.'];
      lines.forEach((line) => parts.push(make('span', '', line), make('br')));
      if (state.cycle.length) {
        const ring = [...state.cycle, state.cycle[0]].map((actor) => actors[actor]).join('\u2192');
        parts.push(make('span', 'cycle fin', '\u25c6 cycle ' + ring), make('br'));
      }
      if (state.verdict) {
        const good = state.verdict === 'clean' || state.verdict === 'avoided';
        parts.push(make('span', (good ? 'good' : 'bad') + ' fin',
          `${good ? '\u2713' : '\u2717'} the end: ${state.verdict}` + (state.summary ? ', ' + state.summary : '')));
      } else if (!state.moves.some((move) => move[2] >= 0)) {
        parts.push(make('span', 'dim', 'The graph of this recording was cut here.'));
      }
      this.find('now').replaceChildren(...parts);
      const schedule = this.path.map((move) => this.name(move)).join(' ');
      this.find('schedule').textContent = this.root.dataset.command + (schedule && ` --schedule "${schedule}"`);
    }
  }

  // --- tables that sort ---------------------------------------------------------------------------------------------

  function sortable(table) {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, column) => {
      const button = make('button', '', head.textContent);
      button.type = 'button';
      head.replaceChildren(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const value = (row) => {
          const cell = row.cells[column], text = cell.dataset.v ?? cell.textContent;
          const number = parseFloat(text.replace(/,/g, ''));
          return head.classList.contains('n') ? (Number.isNaN(number) ? -Infinity : number) : text;
        };
        const body = table.tBodies[0];
        const rows = [...body.rows].sort((a, b) => {
          const x = value(a), y = value(b);
          return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
        });
        body.append(...rows);
      });
    });
  }

  document.querySelectorAll('table.sort').forEach(sortable);
  const data = (id) => JSON.parse(document.getElementById(id + '-data').textContent);
  const players = [...document.querySelectorAll('[data-player],[data-explorer]')].map((root) =>
    (root.dataset.player ? new RunPlayer(root, data(root.dataset.player)) : new GraphPlayer(root, data(root.dataset.explorer))));
  let active = players[0];
  players.forEach((player) => player.root.addEventListener('pointerdown', () => { active = player; }));
  players.forEach((player) => player.root.addEventListener('focusin', () => { active = player; }));
  addEventListener('hashchange', () => players.forEach((player) => player.fromLink()));
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest && event.target.closest('input,textarea,select,[contenteditable],.scroll,.tall');
    if (active && !typing && !event.altKey && !event.ctrlKey && !event.metaKey) active.key(event);
  });
})();
