// Faults that keep users of a screen reader or a keyboard from parts of the page.
const findings = [];
const all = (selector) => [...document.querySelectorAll(selector)];
const named = (element) =>
  element.getAttribute("aria-label")?.trim() ||
  element.getAttribute("aria-labelledby")?.split(" ").every((id) => document.getElementById(id)?.textContent.trim());
if (!document.documentElement.lang) findings.push("no language");
if (!document.title) findings.push("no title");
if (all("main").length !== 1 || all("h1").length !== 1) findings.push("not one main and one h1");
for (const element of all("[role=img], [role=region], [role=group], section, nav")) {
  if (!named(element)) findings.push(`no name: ${element.outerHTML.slice(0, 80)}`);
}
for (const image of all("img")) if (!image.alt) findings.push(`no alternative name: ${image.className}`);
for (const svg of all("svg")) {
  if (svg.getAttribute("role") !== "img" && svg.getAttribute("aria-hidden") !== "true") findings.push("svg without a name");
}
for (const input of all("input")) if (!input.labels.length) findings.push(`no label: ${input.id}`);
const ids = all("[id]").map((element) => element.id);
for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) findings.push(`id twice: ${id}`);
for (const cell of all("th")) if (!cell.scope) findings.push(`no scope: ${cell.textContent}`);
let level = 0;
for (const heading of all("h1, h2, h3, h4, h5, h6")) {
  if (heading.tagName[1] - level > 1) findings.push(`heading leaves out a level: ${heading.textContent}`);
  level = Number(heading.tagName[1]);
}
for (const link of all("a")) {
  if (!document.getElementById(link.getAttribute("href").slice(1))) findings.push(`link to nowhere: ${link.textContent}`);
}
for (const box of all(".scroll")) if (box.tabIndex !== 0) findings.push("a part that scrolls can't be focused");
return findings;
