import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createViews } from '../../src/http/views.ts';
import { english } from '../support/translations.ts';
import { samplePages, views } from './sample-pages.ts';

const viewsDir = join(import.meta.dirname, '../../views');
const templates = readdirSync(viewsDir, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ejs'),
);

describe('views', () => {
  const dirs: string[] = [];

  /** Views of one page, `page.ejs`, in a layout that is nothing but the content. */
  async function viewsOf(page: string, partials: Record<string, string> = {}) {
    const dir = await mkdtemp(join(tmpdir(), 'views-'));
    dirs.push(dir);
    await mkdir(join(dir, 'partials'));
    await writeFile(join(dir, 'layout.ejs'), '<%- content %>');
    await writeFile(join(dir, 'page.ejs'), `<% layout({ title: 'Page' }) %>${page}`);
    for (const [name, source] of Object.entries(partials)) {
      await writeFile(join(dir, 'partials', `${name}.ejs`), source);
    }
    return createViews({ dir, assetUrl: (name) => `/assets/${name}` });
  }

  afterEach(async () => {
    for (const dir of dirs.splice(0)) await rm(dir, { recursive: true });
  });

  it('escape what they print, in text and in attributes', async () => {
    const { render } = await viewsOf('<p title="<%= text %>"><%= text %></p>');

    const html = render('page', { text: `"'><script>&` }, english);

    const escaped = '&#34;&#39;&gt;&lt;script&gt;&amp;';
    assert.equal(html, `<p title="${escaped}">${escaped}</p>`);
  });

  it('never read what they print as a template', async () => {
    const { render } = await viewsOf('<%= text %><%- partial("part", { text }) %>', { part: '<%= text %>' });

    const html = render('page', { text: '<%= 1 + 1 %>' }, english);

    assert.equal(html, '&lt;%= 1 + 1 %&gt;'.repeat(2));
  });

  it('refuse to print a local that is missing', async () => {
    const { render } = await viewsOf('<%= app.name %>');

    assert.throws(() => render('page', {}, english), /app is not defined/);
    assert.throws(() => render('page', { app: {} }, english), /prints undefined/);
    assert.throws(() => render('page', { app: { name: null } }, english), /prints null/);
    assert.throws(() => render('page', { app: { name: {} } }, english), /prints object/);
  });

  it('refuse to decide by a local that is missing', async () => {
    const { render } = await viewsOf('<% if (error) { %>no<% } %>');

    assert.throws(() => render('page', {}, english), /error is not defined/);
  });

  for (const file of templates.filter((name) => !name.startsWith('partials/') && name !== 'layout.ejs')) {
    const name = file.slice(0, -'.ejs'.length);
    // A page without locals of its own has none to miss.
    const hasLocals = /<%# Locals/.test(readFileSync(join(viewsDir, file), 'utf8'));
    if (!hasLocals) continue;

    it(`refuse to show ${name} without its locals`, () => {
      assert.throws(() => views.render(name, {}, english), /is not defined|destructure/);
    });
  }

  it('give a partial nothing but what it is given', async () => {
    const { render } = await viewsOf('<%- partial("part", {}) %>', { part: '<%= secret %>' });

    assert.throws(() => render('page', { secret: 'x' }, english), /secret is not defined/);
  });

  it('refuse a local that a helper would hide', async () => {
    const { render } = await viewsOf('');

    assert.throws(() => render('page', { partial: 'x' }, english), /named like the helper partial/);
  });

  it('refuse a page that has no title, and one that does not exist', async () => {
    const { render } = await viewsOf('');

    assert.throws(() => render('layout', { content: '' }, english), /does not call layout/);
    assert.throws(() => render('../package', {}, english), /no view/);
  });

  it('look the same under a polluted prototype', () => {
    const clean = samplePages();
    const pollution = {
      client: true,
      escapeFunction: 'x',
      outputFunctionName: 'x;process.exit(1);s',
      destructuredLocals: ['x'],
      resetHref: '/evil',
      include: 'x',
      locals: {},
    };

    Object.assign(Object.prototype, pollution);
    try {
      assert.deepEqual(samplePages(), clean);
      createViews({ dir: viewsDir, assetUrl: () => '' });
    } finally {
      for (const key of Object.keys(pollution)) delete (Object.prototype as Record<string, unknown>)[key];
    }
  });

  it('let no address through that could run a script or leave the site unseen', async () => {
    const { render } = await viewsOf('<%= safeUrl(url) %>');
    const through = (url: string): boolean => render('page', { url }, english) !== '';

    assert.deepEqual(['https://a.example/', 'http://a.example', '/path', '/'].map(through), [
      true,
      true,
      true,
      true,
    ]);
    assert.deepEqual(
      [
        'javascript:alert(1)',
        ' javascript:alert(1)',
        'JaVaScRiPt:alert(1)',
        'data:text/html,x',
        '//evil',
        '/\\evil',
        'x',
        '',
      ].filter(through),
      [],
    );
  });
});

describe('templates', () => {
  for (const file of templates) {
    const source = readFileSync(join(viewsDir, file), 'utf8').replaceAll(/<%#.*?%>/gs, '');

    it(`${file} prints without escaping nothing but fragments`, () => {
      const raw = source.match(/<%-.*?%>/gs) ?? [];

      const others = raw.filter(
        (tag) =>
          !/^<%- (partial|html)\(/.test(tag) &&
          !(file === 'layout.ejs' && tag === '<%- content %>') &&
          !/^<%- [\w.]+ \? partial\(.*\) : partial\(.*\) %>$/.test(tag),
      );

      assert.deepEqual(others, []);
    });

    it(`${file} quotes its attributes and has no script and no style of its own`, () => {
      assert.doesNotMatch(source, /=\s*<%/);
      assert.doesNotMatch(source, /\s(style|on\w+)=/);
      assert.doesNotMatch(source, /<style|<script(?! type="module" src=")/);
    });
  }
});
