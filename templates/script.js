"use strict";
// Chooses the epoch of a setting with its slider or by pointing at a curve. The page is complete without this script.
for (const setting of document.querySelectorAll(".setting")) {
  const slider = setting.querySelector(".epoch-control input");
  if (!slider) continue;
  const charts = [...setting.querySelectorAll(".chart")].map((chart) => ({
    epochs: [...chart.querySelectorAll(".epoch")],
    readout: chart.querySelector(".readout"),
  }));
  const names = setting.querySelectorAll(".epoch-control output, .shown-epoch");
  const sheet = setting.querySelector(".sheet image");

  const show = (step) => {
    slider.value = step;
    let values = [];
    for (const { epochs, readout } of charts) {
      epochs.forEach((epoch, i) => epoch.classList.toggle("chosen", i === step - 1));
      readout.textContent = epochs[step - 1].querySelector("title").textContent;
      values.push(readout.textContent);
    }
    // The curves may show a selection of the epochs; their texts name the epoch.
    const epoch = values.length ? values[0].match(/\d+/)[0] : String(step);
    for (const name of names) name.textContent = epoch;
    slider.setAttribute("aria-valuetext", values.join("; ") || `Epoch ${epoch}`);
    if (sheet) sheet.setAttribute("y", -sheet.dataset.top - sheet.dataset.step * (step - 1));
  };

  slider.addEventListener("input", () => show(Number(slider.value)));
  for (const { epochs } of charts) {
    epochs.forEach((epoch, i) => {
      for (const event of ["pointerenter", "click"]) epoch.addEventListener(event, () => show(i + 1));
    });
  }
  setting.querySelector(".epoch-control").hidden = false;
  show(Number(slider.value));
}
