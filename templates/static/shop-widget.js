// What the payment in the page says is shown, and leads to the order. Whether it is paid, our server finds out.
const payment = document.querySelector("stable-checkout");
const leadsTo = { paid: "success", exit: "exit" };
const says = {
  submitted: "Your payment is on its way. You can wait here or look at your order.",
  failed: "That payment did not work. You can try again.",
  error: "The payment cannot be shown here. Use the link to the payment page.",
};
for (const [news, outcome] of Object.entries(leadsTo)) {
  payment.addEventListener(news, () => location.assign(payment.dataset.back + outcome));
}
for (const [news, text] of Object.entries(says)) {
  payment.addEventListener(news, () => { document.querySelector("#news").textContent = text; });
}
