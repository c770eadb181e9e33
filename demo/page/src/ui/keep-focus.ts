/**
 * Moves the focus to `element` where it was brought by keyboard to a button that goes away, or that can't be pressed any
 * more, with its being pressed: it would be lost, and who uses the keyboard would begin again at the page's top. Whoever
 * tapped the button is left alone, since a field that takes the focus opens a phone's keyboard.
 */
export function keepFocus(element: HTMLElement | null): void {
  if (document.activeElement?.matches("button:focus-visible")) element?.focus();
}
