//! `minesweep up`: agent, server and console on this machine, with the embedded store.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
};

use minesweep_agent::{AgentError, Node};
use minesweep_server::{Config, Price, Server, ServerError};
use tokio::{
    runtime::{Handle, Runtime},
    sync::oneshot,
};

use crate::{
    Failure,
    cli::{
        CONTENT, CURRENCY, Context, DATA_DIR, EXCEPTIONS, Entry, LISTEN, MODE, PRICE, RULES, RUNTIME_DIR,
        SENSOR,
    },
    stop::Stop,
};

/// The subcommand.
pub const ENTRY: Entry = Entry {
    name: "up",
    about: (
        "Start agent, server and console here; print the address and a one-time login",
        "在本机启动代理、服务器和控制台，并输出地址和一次性登录链接",
    ),
    flags: &[],
    settings: &[
        &MODE,
        &SENSOR,
        &PRICE,
        &CURRENCY,
        &LISTEN,
        &CONTENT,
        &RULES,
        &EXCEPTIONS,
        &DATA_DIR,
        &RUNTIME_DIR,
    ],
    run,
};

fn run(context: &Context) -> Result<u8, Failure> {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::other(AgentError::NotRoot));
    }
    let stop = Stop::on_signals()?;
    let runtime = Runtime::new().map_err(Failure::other)?;
    let server = runtime.block_on(Server::open(server_config(context))).map_err(Failure::other)?;
    let mut node = Node::start(&context.config, None).map_err(Failure::other)?;
    let server = Arc::new(server);
    println!("console: https://{}/", server.local_addr());
    println!("{}: {}", context.say("one-time login", "一次性登录"), server.login_link());
    println!("{}: {}", context.say("certificate SHA-256", "证书 SHA-256"), server.fingerprint());
    let another = context.say("another login: kill -USR1", "再次登录：kill -USR1");
    eprintln!("{another} {}\n{}", std::process::id(), node.greeting().of(context.lang));
    let feed = server.feed();
    let (end, ended) = oneshot::channel::<()>();
    let (serving, trouble, handle) = (Arc::clone(&server), stop.clone(), runtime.handle().clone());
    let serving = thread::spawn(move || -> Result<(), ServerError> {
        // A sender that is gone ends the server as well.
        let served = runtime.block_on(serving.run(async { drop(ended.await) }));
        trouble.now();
        served
    });
    let wish = Stop::on_wish()?;
    let mut is_over = || {
        if wish.swap(false, Ordering::SeqCst) {
            new_login(context, &handle, &server);
        }
        stop.is_set()
    };
    let watched = node.run(&mut is_over, &mut |report| feed.push(report));
    drop(end);
    let served = serving.join().map_err(|_| defect())?;
    watched.map_err(Failure::other)?;
    served.map_err(Failure::other)?;
    Ok(0)
}

fn defect() -> Failure {
    Failure::usage("the server ended by a defect; see the log", "服务器因自身缺陷而结束；请查看日志")
}

/// SIGUSR1 asks for another one-time login: a link is used once, and a session ends after twelve hours.
fn new_login(context: &Context, runtime: &Handle, server: &Server) {
    match runtime.block_on(server.new_login()) {
        Ok(link) => println!("{}: {link}", context.say("one-time login", "一次性登录")),
        Err(error) => tracing::error!(%error, "no new login could be made"),
    }
}

fn server_config(context: &Context) -> Config {
    let config = &context.config;
    Config {
        data_dir: config.data_dir.clone(),
        listen: config.listen,
        price: Price { per_cpu_hour: config.price_per_cpu_hour, currency: config.currency.clone() },
    }
}
