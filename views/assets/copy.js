// Without HTTPS there is no clipboard, and no button.
for (const button of navigator.clipboard ? document.querySelectorAll('[data-copy]') : []) {
  const status = button.parentElement.querySelector('[role=status]');
  button.hidden = false;
  button.addEventListener('click', async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    await navigator.clipboard.writeText(text).then(
      () => (status.textContent = button.dataset.done = 'Copied'),
      () => (status.textContent = button.dataset.done = 'Select and copy it'),
    );
    setTimeout(() => {
      status.textContent = '';
      delete button.dataset.done;
    }, 2000);
  });
}
