// How long until another code can be asked for. The button stays pressable: the server knows the time as well.
for (const note of document.querySelectorAll('[data-resend-in]')) {
  setTimeout(() => note.remove(), Number(note.dataset.resendIn) * 1000);
}
