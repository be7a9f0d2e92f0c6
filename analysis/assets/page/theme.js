// Colours: as the system's, or light, or dark, as the reader chooses; kept where the browser allows it.

{
  const KEY = 'flaplab-theme';
  const NEXT = { auto: 'light', light: 'dark', dark: 'auto' };
  const button = byId('theme');
  const show = (theme) => {
    if (theme === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.querySelector('span').textContent = theme;
    button.setAttribute('aria-label', `Colours: ${theme === 'auto' ? "as the system's" : theme}`);
  };
  let theme = 'auto';
  try { theme = localStorage.getItem(KEY) ?? 'auto'; } catch { /* a file's page may have no storage */ }
  if (!(theme in NEXT)) theme = 'auto';
  show(theme);
  button.addEventListener('click', () => {
    theme = NEXT[theme];
    show(theme);
    try { localStorage.setItem(KEY, theme); } catch { /* then it lasts as long as the page */ }
  });
}
