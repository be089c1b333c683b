// Without HTTPS there is no clipboard, and no button.
for (const button of navigator.clipboard ? document.querySelectorAll('[data-copy]') : []) {
  const source = document.getElementById(button.dataset.copy);
  const status = button.parentElement.querySelector('[role=status]');
  const say = () => {
    status.textContent = button.dataset.copied;
    button.toggleAttribute('data-done', true);
    setTimeout(() => {
      status.textContent = '';
      button.removeAttribute('data-done');
    }, 2000);
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    // Where the browser refuses, the text is at least selected.
    navigator.clipboard
      .writeText(source.textContent)
      .then(say, () => getSelection().selectAllChildren(source));
  });
}
