// Loading state. Buttons are never `disabled`: a manager may fill and send a form without any event a page could see.
const BUSY_MS = 10_000;
const release = (button) => button.removeAttribute('aria-busy');

document.addEventListener('submit', (event) => {
  const button = event.submitter ?? event.target.querySelector('[data-busy]');
  if (!button?.dataset.busy) return;
  if (button.hasAttribute('aria-busy')) return event.preventDefault();
  button.setAttribute('aria-busy', 'true');
  setTimeout(release, BUSY_MS, button);
});

// Coming back with the browser's button shows the page as it was left.
addEventListener('pageshow', () => document.querySelectorAll('[aria-busy]').forEach(release));

const automatic = document.querySelector('form[data-auto-submit]');
automatic?.requestSubmit(automatic.querySelector('[type=submit]'));
